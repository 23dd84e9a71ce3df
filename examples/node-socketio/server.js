// A Socket.IO server as a cluster worker: the example of @socket.io/sticky and
// @socket.io/cluster-adapter, without its primary.
//
//   stickyd -- node server.js

const cluster = require('node:cluster');
const { readFile } = require('node:fs/promises');
const http = require('node:http');
const path = require('node:path');
const { createAdapter } = require('@socket.io/cluster-adapter');
const { setupWorker } = require('@socket.io/sticky');
const { Server } = require('socket.io');

const page = path.join(__dirname, 'chat.html');
const slot = process.env.STICKYD_WORKER; // 1 to STICKYD_WORKERS

const server = http.createServer(async (request, response) => {
  if (request.method !== 'GET' || request.url !== '/') {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
  response.end(await readFile(page));
});

const io = new Server(server);
io.adapter(createAdapter());
setupWorker(io);

io.on('connection', socket => {
  socket.emit('worker', { slot, pid: process.pid, id: cluster.worker.id });
  socket.on('say', text => io.emit('said', { slot, pid: process.pid, text: String(text).slice(0, 1000) }));
});
