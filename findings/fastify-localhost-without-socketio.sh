#!/usr/bin/env bash
# Fastify listens on localhost twice, and Socket.IO is in one of the two servers only
# (fastify 5.12.8, socket.io 4.8.4).
#
# listen({ port }) is for localhost. Where that is 127.0.0.1 and ::1, as on most machines,
# Fastify makes a second http.Server for the other address; its routes are in both. But
# app.server, which new Server(app.server) attaches to, is the first: Socket.IO's clients
# who come to the other address get Fastify's 404, and which address is which follows the
# order in which the resolver names them. With host: '::' or '127.0.0.1' there is one server.
#
# (What localhost is depends on the machine; here the resolver is told to name both.)
#
# Seen: "Fastify's route: 200 200, Socket.IO: 200 404".
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
npm install --silent --no-audit --no-fund fastify@5.12.8 socket.io@4.8.4 >/dev/null
cat >both.js <<'JS'
const dns = require('node:dns');
const { lookup } = dns;
const both = [{ address: '127.0.0.1', family: 4 }, { address: '::1', family: 6 }];
dns.lookup = (host, options, callback = options) => {
  if (host !== 'localhost') lookup(host, options, callback);
  else if (options.all) process.nextTick(callback, null, both);
  else process.nextTick(callback, null, both[0].address, both[0].family);
};
const app = require('fastify')();
app.get('/', async () => 'hello');
new (require('socket.io').Server)(app.server);
(async () => {
  await app.listen({ port: 0 });
  const { port } = app.server.address();
  const statuses = path => Promise.all(['127.0.0.1', '[::1]'].map(async host => (await fetch(`http://${host}:${port}${path}`)).status));
  console.log(`Fastify's route: ${(await statuses('/')).join(' ')}, Socket.IO: ${(await statuses('/socket.io/?EIO=4&transport=polling')).join(' ')}`);
  process.exit();
})();
JS
seen=$(node both.js)
echo "$seen"
[ "$seen" = "Fastify's route: 200 200, Socket.IO: 200 404" ]
