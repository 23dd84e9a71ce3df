// What stickyd is compared with: Node's own primary, as the README of
// @socket.io/sticky has it, with the same workers.

const cluster = require('node:cluster');
const http = require('node:http');
const path = require('node:path');

const server = http.createServer();
require(process.env.STICKY).setupMaster(server, { loadBalancingMethod: 'least-connection' });
require(process.env.ADAPTER).setupPrimary();
cluster.setupPrimary({ exec: path.join(__dirname, 'worker.cjs'), serialization: 'advanced' });

let left = Number(process.env.WORKERS);
for (let i = left; i > 0; i--) cluster.fork();
cluster.on('message', (worker, { type }) => {
  if (type !== 'ready' || --left > 0) return;
  server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
});
