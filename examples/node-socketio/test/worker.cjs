// A Socket.IO worker that does what tests ask for. The environment says with
// which published libraries: $STICKY, $ADAPTER ("" for none); and how many
// milliseconds after its start setupWorker is called: $SETUP_AFTER ("" for at
// once).

const cluster = require('node:cluster');
const http = require('node:http');
const { setTimeout: sleep } = require('node:timers/promises');
const { Server } = require('socket.io');

const server = http.createServer((request, response) => {
  if (request.url === '/echo') request.pipe(response);
  else response.end(String(process.pid));
});
const io = new Server(server, { cors: { origin: 'https://example.com' }, maxHttpBufferSize: 1e8, httpCompression: false });

if (process.env.ADAPTER) io.adapter(require(process.env.ADAPTER).createAdapter());
io.on('serverPing', (number, answer) => answer({ pid: process.pid, number }));

let count = 0;
const summary = sockets => sockets.map(({ id, rooms, data }) => ({ id, rooms: [...rooms], data }));

io.on('connection', socket => {
  let counted = 0;
  const on = (name, handle) => socket.on(name, async (...args) => {
    const answer = args.pop();
    try {
      answer(await handle(...args));
    } catch (err) {
      answer({ error: String(err) });
    }
  });
  on('whoami', () => ({ pid: process.pid, id: cluster.worker.id, slot: process.env.STICKYD_WORKER }));
  on('count', () => ++counted);
  on('echo', (...data) => data[0]);
  on('block', ms => { // the event loop, that is
    for (const end = Date.now() + ms; Date.now() < end;);
    return ++count;
  });
  on('name', name => { socket.data.name = name; });
  on('join', room => socket.join(room));
  on('leave', room => socket.leave(room));
  on('joinAll', (from, to) => io.in(from).socketsJoin(to));
  on('leaveAll', room => io.socketsLeave(room));
  on('broadcast', (room, ...args) => { (room ? io.to(room) : io).emit('news', ...args); });
  on('broadcastAck', async room => (await (room ? io.to(room) : io).timeout(5000).emitWithAck('question')).sort());
  on('fetch', async room => summary(await (room ? io.in(room) : io).fetchSockets()));
  on('serverPing', number => io.serverSideEmitWithAck('serverPing', number));
  on('kick', room => { io.in(room).disconnectSockets(true); });
});

(async () => {
  if (process.env.SETUP_AFTER) await sleep(Number(process.env.SETUP_AFTER));
  require(process.env.STICKY).setupWorker(io);
  process.send({ type: 'ready' }); // for primary.cjs; stickyd finds out by itself
})();
