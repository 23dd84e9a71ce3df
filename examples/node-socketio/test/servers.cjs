// A worker with several servers, as under Node's cluster module. It knows
// nothing of stickyd. $SERVERS says which, in the order in which they start:
// "setup" is Socket.IO by setupWorker, "main" the same by listening on $PORT,
// "metrics" listens on $METRICS, "udp" too.

const { createSocket } = require('node:dgram');
const http = require('node:http');
const { setupWorker } = require('@socket.io/sticky');
const { Server } = require('socket.io');

const says = what => http.createServer((request, response) => response.end(`${what} ${process.pid}`));
const main = says('main');
const io = new Server(main);

const servers = {
  setup: () => setupWorker(io),
  main: () => main.listen(process.env.PORT),
  metrics: () => says('metrics').listen(process.env.METRICS, '127.0.0.1').on('error', err => console.log(err.code)),
  udp: () => {
    const socket = createSocket('udp4').bind(process.env.METRICS, '127.0.0.1');
    socket.on('message', (text, { port }) => socket.send(`${text} ${process.pid}`, port, '127.0.0.1'));
  },
};
for (const name of process.env.SERVERS.split(' ')) servers[name]();
