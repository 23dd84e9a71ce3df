#!/usr/bin/env bash
# A response's end() undoes cork() of its socket (Node 20.20.2, 24.21.0, 26.10.0).
#
# An application, or what is loaded before it, corks the socket of a request so that
# the response waits, for a registration that has to come first, say. The documentation
# of writable.cork() has one uncork() for each cork(). But ServerResponse.end() sets the
# count of corks to one and uncorks: the whole response leaves before the socket's owner
# has uncorked anything. Who wants to hold a response back has to hold back uncork() too.
#
# Seen, for each version: "corked 2 times, answered at once".
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
arch=$(node -p process.arch)
npm install --silent --no-audit --no-fund "node-20@npm:node-linux-$arch@20.20.2" "node-24@npm:node-linux-$arch@24.21.0" "node-26@npm:node-linux-$arch@26.10.0" >/dev/null
cat >cork.js <<'JS'
const http = require('node:http');
const server = http.createServer((request, response) => {
  const { socket } = request;
  socket.cork();
  socket.cork();
  const timer = setTimeout(() => { say('held until it was uncorked'); socket.uncork(); socket.uncork(); }, 500);
  request.on('close', () => clearTimeout(timer));
  response.end('hello');
});
let said;
const say = words => { said ??= words; };
server.listen(0, '127.0.0.1', () => {
  http.get({ port: server.address().port, host: '127.0.0.1', agent: false }, response => {
    say('answered at once');
    response.resume().on('end', () => { console.log(`corked 2 times, ${said}`); process.exit(); });
  });
});
JS
for version in 20 24 26; do
  seen=$("node_modules/node-$version/bin/node" cork.js)
  echo "Node $("node_modules/node-$version/bin/node" --version): $seen"
  [ "$seen" = "corked 2 times, answered at once" ]
done
