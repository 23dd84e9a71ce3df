// What the package says to stickyd, in whose place the test is, and hears.

import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import cluster from 'node:cluster';
import { EventEmitter, on, once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { patience, request } from './harness.mjs';
import { Wire } from './wire.mjs';

const exec = fileURLToPath(new URL('words.cjs', import.meta.url));
const cmd = 'NODE_STICKYD';
const own = '/socket.io/?EIO=4&transport=polling';

// play starts a worker as stickyd does, and is stickyd for it.
async function play(serialization, test, settles = true) {
  cluster.setupPrimary({ exec, serialization });
  const worker = cluster.fork({ STICKYD_WORKER: '2', STICKYD_WORKERS: '3', STICKYD_FD: '3', STICKYD_NODE: JSON.stringify({ serialization }) });
  const heard = new EventEmitter();
  const messages = on(heard, 'message', { signal: AbortSignal.timeout(patience) });
  worker.on('message', message => heard.emit('message', message));
  worker.process.on('internalMessage', (message, handle) => {
    if (message.cmd === cmd) heard.emit('message', message, handle); // the application hears none of them
  });
  const hear = async () => {
    const { value: [{ cmd: _, ...message }, handle] } = await messages.next();
    return { ...message, handle };
  };
  const say = (act, members, handle) => worker.send({ cmd, act, ...members }, handle);
  const hears = async expected => {
    const { handle, ...message } = await hear();
    assert.deepEqual(message, expected);
    return handle;
  };
  const door = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(door, 'listening');
  const connect = async message => {
    const [wire, [socket]] = await Promise.all([Wire.connect(door.address()), once(door, 'connection')]);
    say('connection', { session: false, ...message }, socket);
    return wire;
  };
  const get = async (wire, url) => {
    await wire.send(`GET ${url} HTTP/1.1\r\nHost: h\r\n\r\n`);
    return wire.answer();
  };
  try {
    const { pid } = worker.process;
    await hears({ act: 'hello', version: 1, pid, runtime: 'node', hold: false, late: false });
    await hears({ act: 'early' });
    await hears({ act: 'adopts', attached: true });
    await hears({ attached: true, supervised: true, slot: 2, slots: 3, hidden: true });
    if (settles) say('settled');
    await test({ worker, hear, hears, say, connect, get });
  } finally {
    worker.process.kill('SIGKILL');
    await once(worker, 'exit');
    door.close();
  }
}

for (const serialization of ['json', 'advanced']) {
  describe(serialization, () => {
    const check = (name, run, settles) => test(name, { timeout: patience }, () => play(serialization, run, settles));

    check('an id is registered before the answer that tells it, and its end is told', async ({ connect, get, hears }) => {
      const wire = await connect();
      await wire.send(`GET ${own} HTTP/1.1\r\nHost: h\r\n\r\n`);
      await hears({ act: 'bind', id: 'own', adopted: 1 });
      assert.match((await wire.answer()).body, /"sid":"own"/);
      await wire.send(`POST ${own}&sid=own HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1`); // close
      await hears({ act: 'unbind', ids: ['own'] });
      assert.equal((await wire.answer()).status, 200);
      await get(wire, '/bind');
      await hears({ act: 'bind', id: 'mine', adopted: 0 });
      await get(wire, '/unbind');
      await hears({ act: 'unbind', ids: ['mine'] });
      wire.close(); // counts no more
      const other = await connect();
      other.close();
      await hears({ act: 'closed', n: 1 });
    });

    check('an id is text, or an engine makes it so', async ({ connect, get, hears }) => {
      const wire = await connect();
      assert.equal((await get(wire, '/wrong')).body,
        'TypeError: a session id must be a string, not number\nTypeError: a session id must be a string, not undefined');
      await get(wire, '/number');
      await wire.send(`GET ${own} HTTP/1.1\r\nHost: h\r\n\r\n`);
      await hears({ act: 'bind', id: '7', adopted: 1 });
      assert.match((await wire.answer()).body, /"sid":7/);
      await wire.send(`POST ${own}&sid=7 HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n1`); // close
      await hears({ act: 'unbind', ids: ['7'] });
    });

    check('the first id of all is told when all workers know that there are sessions', async ({ connect, get, hears, say }) => {
      say('sessions');
      await hears({ act: 'heard' });
      const wire = await connect();
      let answered = false;
      const answer = get(wire, '/bind').then(() => { answered = true; });
      await hears({ act: 'bind', id: 'mine', adopted: 1 });
      await get(await connect(), '/');
      assert.equal(answered, false);
      say('settled');
      await answer;
    }, false);

    check('connections that count by themselves are counted off, once', async ({ connect, get, hears }) => {
      const one = await connect();
      await get(one, '/bind');
      await hears({ act: 'bind', id: 'mine', adopted: 1 });
      const ofSession = await connect({ session: true });
      await get(ofSession, '/?sid=mine');
      const plain = await connect();
      await get(plain, '/');
      one.close();
      ofSession.close();
      plain.close();
      await hears({ act: 'closed', n: 1 });
    });

    check('a request of another worker is given back, and comes for good', async ({ connect, get, hear, hears, say }) => {
      const bytes = 'POST /?sid=other HTTP/1.1\r\nHost: h\r\nContent-Length: 7\r\n\r\nbo\xffdy';
      for (const session of [false, true]) {
        const wire = await connect({ session });
        await get(wire, '/');
        await wire.send(Buffer.from(bytes, 'latin1'));
        const { handle, data, ...message } = await hear();
        assert.deepEqual(message, { act: 'return', session });
        assert.equal(Buffer.from(data, 'base64').latin1Slice(), bytes);
        const socket = new net.Socket({ handle, pauseOnCreate: true });
        say('connection', { session: false, data: Buffer.from(data, 'base64'), final: true }, socket);
        await wire.send('!!');
        assert.equal((await wire.answer()).body, '/?sid=other');
        await get(wire, '/bind');
        await hears({ act: 'bind', id: 'mine', adopted: 1 });
        await get(wire, '/unbind');
        await hears({ act: 'unbind', ids: ['mine'] });
        wire.close();
      }
    });

    check('the notices that no new sessions come, and that it is to end', async ({ connect, get, hears, say }) => {
      const wire = await connect();
      await get(wire, '/bind');
      await hears({ act: 'bind', id: 'mine', adopted: 1 });
      say('drain', { limit: 5000, finish: false });
      await hears({ event: 'drain', limit: 5000, late: false });
      await hears({ promise: 'draining', limit: 5000, late: false });
      say('drain', { limit: 1000, finish: false });
      await hears({ event: 'drain', limit: 1000, late: false });
      assert.equal((await get(wire, '/?sid=mine')).headers.connection, 'keep-alive');
      say('drain', { limit: 500, finish: true });
      await hears({ event: 'drain', limit: 500, late: false });
      await hears({ event: 'finish', limit: 500, late: false });
      await hears({ promise: 'finishing', limit: 500, late: false });
      await assert.rejects(get(wire, '/'), /the connection ended/); // it was idle
      assert.equal((await get(await connect(), '/')).headers.connection, 'close'); // this one was on its way
    });

    check('while it drains, a request that may begin a session is given back', async ({ connect, get, hear, hears, say }) => {
      const upgrade = `GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n';
      const wires = [];
      for (let i = 0; i < 2; i++) wires.push(await connect());
      for (const wire of wires) await get(wire, '/');
      say('drain', { limit: 5000, finish: false });
      await hears({ event: 'drain', limit: 5000, late: false });
      await hears({ promise: 'draining', limit: 5000, late: false });
      const givenBack = async bytes => {
        const { handle, data, ...message } = await hear();
        assert.deepEqual(message, { act: 'return', session: false });
        assert.equal(Buffer.from(data, 'base64').latin1Slice(), bytes);
        const socket = new net.Socket({ handle, pauseOnCreate: true });
        say('connection', { session: false, data: Buffer.from(data, 'base64'), final: true }, socket);
        await hears({ act: 'bind', id: 'own', adopted: 1 });
      };
      await wires[0].send(upgrade);
      await givenBack(upgrade);
      assert.equal((await wires[0].head()).status, 101); // there was no other worker
      const handshake = `GET ${own} HTTP/1.1\r\nHost: h\r\n\r\n`;
      await wires[1].send(handshake);
      await givenBack(handshake);
      assert.match((await wires[1].answer()).body, /"sid":"own"/);
      assert.equal((await get(wires[1], '/?sid=own')).headers.connection, 'keep-alive');
      const fresh = await connect(); // it was on its way
      assert.equal((await get(fresh, '/')).status, 200);
    });
  });
}

test('by itself, the same file listens', { timeout: patience }, async () => {
  const alone = fork(exec, { execArgv: ['--require', 'stickyd/preload'], cwd: fileURLToPath(new URL('.', import.meta.url)) });
  const messages = on(alone, 'message', { signal: AbortSignal.timeout(patience) });
  const hear = async () => (await messages.next()).value[0];
  try {
    assert.deepEqual(await hear(), { attached: false, supervised: false, slot: 0, slots: 0, hidden: true });
    const url = `http://127.0.0.1:${(await hear()).port}`;
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    assert.match((await request(url + own, { agent })).body, /"sid":"own"/);
    assert.equal((await request(`${url}/?sid=other`, { agent })).status, 200);
    agent.destroy();
  } finally {
    alone.kill();
    await once(alone, 'exit');
  }
});
