#!/usr/bin/env bash
# A POST that takes longer than 30 s ends an Engine.IO session (engine.io 6.6.13).
#
# The server has an option httpRequestBodyTimeout, 30,000 ms by default. A client on
# a slow line whose upload takes longer gets 408, and its session is closed with it: the
# next request gets 400, "Session ID unknown". In 6.6.5 the same POST was waited for.
#
# Seen, with the option at 300 ms: 6.6.5 "200, session lives"; 6.6.13 "408, session gone".
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund old@npm:engine.io@6.6.5 new@npm:engine.io@6.6.13 >/dev/null
cat >slow.js <<'JS'
const http = require('node:http');
const { Server } = require(process.argv[2]);
const server = http.createServer();
new Server({ httpRequestBodyTimeout: 300 }).attach(server);
const call = (path, { method, body } = {}) => new Promise((resolve, reject) => {
  const headers = body ? { 'Content-Length': Buffer.byteLength(body) } : {};
  const request = http.request({ port: server.address().port, host: '127.0.0.1', agent: false, path, method, headers }, async response => {
    resolve({ status: response.statusCode, body: (await response.setEncoding('utf8').toArray()).join('') });
  }).on('error', reject);
  if (!body) return request.end();
  request.write(body.slice(0, 1));
  setTimeout(() => request.destroyed || request.end(body.slice(1)), 1000).unref();
});
server.listen(0, '127.0.0.1', async () => {
  const path = '/engine.io/?EIO=4&transport=polling';
  const { sid } = JSON.parse((await call(path)).body.slice(1));
  const { status } = await call(`${path}&sid=${sid}`, { method: 'POST', body: '4hello' });
  const next = await call(`${path}&sid=${sid}`, { method: 'POST', body: '4hello' }).catch(err => ({ body: String(err) }));
  console.log(`${status}, session ${next.body.includes('Session ID unknown') ? 'gone' : 'lives'}`);
  process.exit();
});
JS
for version in old new; do echo "$(sed -n 's/.*"version": "\(.*\)".*/\1/p' node_modules/$version/package.json): $(node slow.js $version)"; done | tee seen
[ "$(cat seen)" = "6.6.5: 200, session lives
6.6.13: 408, session gone" ]
