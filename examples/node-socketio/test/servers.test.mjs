// Workers with more servers than the one that gets the clients' connections.

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { patience, request, start } from './harness.mjs';

const command = [process.execPath, fileURLToPath(new URL('servers.cjs', import.meta.url))];
const workers = 2;
const handshake = '/socket.io/?EIO=4&transport=polling';

async function freePort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  await new Promise(resolve => server.close(resolve));
  return port;
}

// serve runs test with workers that have those servers; flags may name PORT.
async function serve(SERVERS, flags, test) {
  const [PORT, METRICS] = [await freePort(), await freePort()];
  const server = await start({ workers, command, env: { SERVERS, PORT, METRICS }, flags: flags.map(flag => flag.replace('PORT', PORT)) });
  try {
    await test({ server, metrics: METRICS });
  } finally {
    await server.stop();
  }
}

const ask = async url => (await request(url)).body.split(' ');

for (const [SERVERS, flags] of [
  ['setup metrics', []],
  ['metrics setup', []],
  ['main metrics', []],
  ['metrics main', ['-l', '127.0.0.1:PORT']], // that port is the main server's
  ['main metrics', ['-l', '127.0.0.1:PORT']],
]) {
  test(`each of two servers gets its own: ${SERVERS}, ${flags}`, { timeout: patience }, () => serve(SERVERS, flags, async ({ server, metrics }) => {
    const url = `http://127.0.0.1:${metrics}`;
    for (let n = 0; n < 20; n++) {
      assert.equal((await ask(server.url))[0], 'main');
      assert.equal((await ask(url))[0], 'metrics');
      if (!SERVERS.includes('setup')) continue; // nobody announces sessions
      const { sid } = JSON.parse((await request(server.url + handshake)).body.slice(1));
      assert.equal((await request(`${server.url}${handshake}&sid=${sid}`, { method: 'POST', body: '1' })).status, 200);
    }
    // A worker's death does not close it, and its heir has it, too.
    process.kill(server.events.find(({ msg }) => msg === 'worker ready').pid, 'SIGKILL');
    for (let n = 0; n < 20; n++) assert.equal((await ask(url))[0], 'metrics');
    await server.until(() => server.readyWorkers().length === workers + 1);
    const last = server.readyWorkers().at(-1).pid;
    for (const late = Date.now() + patience; ;) {
      const pids = await Promise.all(Array.from({ length: 20 }, async () => Number((await ask(url))[1])));
      if (pids.includes(last)) break;
      assert.ok(Date.now() < late, `${pids}`);
    }
  }));
}

test('a UDP socket is everybody\'s', { timeout: patience }, () => serve('setup udp', [], async ({ server, metrics }) => {
  await sleep(100); // nothing says that it is there
  const socket = createSocket('udp4');
  const answered = once(socket, 'message', { signal: AbortSignal.timeout(patience) });
  socket.send('hello', metrics, '127.0.0.1');
  const [text, pid] = String((await answered)[0]).split(' ');
  assert.equal(text, 'hello');
  assert.ok(server.readyWorkers().some(worker => worker.pid === Number(pid)));
  socket.close();
}));

test('a server that cannot listen is told why, and the worker goes on', { timeout: patience }, async () => {
  const other = net.createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const server = await start({ workers, command, env: { SERVERS: 'setup metrics', METRICS: other.address().port } });
  try {
    await server.until(events => events.find(({ line }) => line === 'EADDRINUSE'));
    assert.equal((await ask(server.url))[0], 'main');
  } finally {
    other.close();
    await server.stop();
  }
});

test('where stickyd has stopped, nobody listens', { timeout: patience }, async () => {
  let url;
  await serve('setup metrics', [], async ({ metrics }) => {
    url = `http://127.0.0.1:${metrics}`;
    assert.equal((await ask(url))[0], 'metrics');
  });
  await assert.rejects(ask(url), { code: 'ECONNREFUSED' });
});
