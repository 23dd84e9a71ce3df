// A worker with Socket.IO sessions, the same behind every front. /known says
// whether a session lives here; with BUSY the event loop is blocked for 2 ms at
// a time, most of the time.

const http = require('http');
const { Server } = require('socket.io');
const { setupWorker } = require(process.env.STICKY);

let asked = -Infinity;
const httpServer = http.createServer((req, res) => {
  asked = performance.now();
  const sid = new URL(req.url, 'http://x').searchParams.get('sid');
  res.statusCode = io.engine.clients[sid] ? 200 : 400;
  res.setHeader('X-Worker', process.pid);
  res.end('known');
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
