// A worker with Socket.IO sessions, the same behind every front. /known says
// whether a session lives here, /wait answers never, and /websocket becomes one
// on which nothing happens. With BUSY the event loop is blocked for 2 ms at a
// time, most of the time.

const http = require('http');
const { Server } = require('socket.io');
const { setupWorker } = require(process.env.STICKY);

const hasSession = (req) => Boolean(io.engine.clients[new URL(req.url, 'http://x').searchParams.get('sid')]);

const httpServer = http.createServer((req, res) => {
  const known = hasSession(req);
  if (known && req.url.startsWith('/wait')) return;
  res.statusCode = known ? 200 : 400;
  res.setHeader('X-Worker', process.pid);
  res.end('known');
});
httpServer.on('upgrade', (req, socket) => {
  if (!req.url.startsWith('/websocket')) return; // Engine.IO's
  socket.on('error', () => {});
  if (!hasSession(req)) return socket.destroy();
  socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
    `X-Worker: ${process.pid}\r\n\r\n`);
});
const hour = 3_600_000;
const io = new Server(httpServer, {
  pingInterval: hour, pingTimeout: hour, connectTimeout: hour, // nobody polls here
});
setupWorker(io);

if (process.env.BUSY) { // asleep, not spinning: others' loops keep their CPU
  const never = new Int32Array(new SharedArrayBuffer(4));
  (function turn() {
    Atomics.wait(never, 0, 0, 2);
    setImmediate(turn);
  })();
}
