// Node's primary as the README of @socket.io/sticky has it.

const cluster = require('cluster');
const http = require('http');
const { setupMaster } = require(process.env.STICKY);

if (cluster.isPrimary) {
  const httpServer = http.createServer();
  setupMaster(httpServer, { loadBalancingMethod: 'least-connection' });
  cluster.setupPrimary({ serialization: 'advanced' });
  const workers = Number(process.env.WORKERS);
  for (let i = 0; i < workers; i++) cluster.fork();
  httpServer.listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () => {
    console.error(JSON.stringify({ msg: 'listening', addr: `127.0.0.1:${httpServer.address().port}` }));
  });
} else {
  require('./worker.js');
}
