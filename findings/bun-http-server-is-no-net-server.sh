#!/usr/bin/env bash
# In Bun an http.Server is no net.Server (Bun 1.4.5).
#
# In Node http.Server inherits from net.Server, and tools rely on it: what they put on
# net.Server.prototype, such as a counter of connections or another listen(), sees each
# server of http and https as well. In Bun http.Server inherits from EventEmitter alone:
# instanceof is false, and a patched net.Server.prototype.listen is not asked.
#
# Seen: "Node: http.Server is a net.Server: true, listen() of net.Server asked: true",
#       "Bun: http.Server is a net.Server: false, listen() of net.Server asked: false".
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
case $(node -p process.arch) in arm64) arch=aarch64 ;; *) arch=x64 ;; esac
npm install --silent --no-audit --no-fund "bun@npm:@oven/bun-linux-$arch@1.4.5" >/dev/null
cat >inherits.js <<'JS'
const net = require('node:net');
const http = require('node:http');
let asked = false;
const { listen } = net.Server.prototype;
net.Server.prototype.listen = function (...args) { asked = true; return listen.apply(this, args); };
const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
  console.log(`http.Server is a net.Server: ${server instanceof net.Server}, listen() of net.Server asked: ${asked}`);
  process.exit();
});
JS
seen="Node: $(node inherits.js)
Bun: $(node_modules/bun/bin/bun inherits.js)"
echo "$seen"
[ "$seen" = "Node: http.Server is a net.Server: true, listen() of net.Server asked: true
Bun: http.Server is a net.Server: false, listen() of net.Server asked: false" ]
