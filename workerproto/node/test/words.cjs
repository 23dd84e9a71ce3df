// A worker of the test in words.test.mjs.

const http = require('node:http');
const { Server } = require('socket.io');
const stickyd = require('stickyd');

const server = http.createServer(async ({ url, socket }, response) => {
  if (url === '/bind') await stickyd.bind('mine', socket);
  if (url === '/unbind') stickyd.unbind('mine');
  if (url === '/number') io.engine.generateId = () => 7;
  if (url === '/wrong') {
    const errors = [await stickyd.bind(7).catch(error => error)];
    try { stickyd.unbind(undefined); } catch (error) { errors.push(error); }
    return response.end(errors.join('\n'));
  }
  response.end(url);
});
const io = new Server(server);
const told = ({ limit, deadline }) => ({ limit, late: deadline - Date.now() > limit });
for (const event of ['drain', 'finish']) stickyd.worker.on(event, notice => process.send({ event, ...told(notice) }));
for (const promise of ['draining', 'finishing']) stickyd.worker[promise].then(notice => process.send({ promise, ...told(notice) }));
const { supervised, slot, slots } = stickyd.worker;
const attached = stickyd.attach(io);
process.send({ attached, supervised, slot, slots, hidden: !('STICKYD_FD' in process.env || 'STICKYD_NODE' in process.env) });
io.engine.generateId = () => 'own';
if (!supervised) server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
