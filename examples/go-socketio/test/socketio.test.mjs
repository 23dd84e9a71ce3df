// The example under stickyd, used by the real socket.io-client:
//
//	npm ci && npm test
//
// $STICKYD_BIN is stickyd (otherwise it is built).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import { io } from 'socket.io-client';
import { startServer } from './harness.mjs';

const workers = 3;
const patience = 60_000; // for anything; it measures nothing

let server;
const open = new Set(); // the clients of the test that runs

before(async () => { server = await startServer(workers); }, { timeout: 180_000 });

afterEach(() => {
  for (const client of open) client.disconnect();
  open.clear();
});

after(async () => {
  const status = await server?.stop();
  if (!server) return; // before has failed
  assert.equal(status, 0, server.log());
  assert.doesNotMatch(server.log(), /panic|DATA RACE|another worker/);
}, { timeout: 60_000 });

// connect resolves to a client that is connected.
async function connect(options = {}) {
  const client = io(server.url, { forceNew: true, reconnectionDelay: 1, reconnectionDelayMax: 50, ...options });
  open.add(client);
  client.failures = [];
  client.on('connect_error', err => client.failures.push(err));
  client.connected || await once(client, 'connect', { signal: AbortSignal.timeout(patience) });
  return client;
}

const connectMany = (n, options) => Promise.all(Array.from({ length: n }, () => connect(options)));
const ask = (client, ...args) => client.timeout(patience).emitWithAck(...args);

// countTo has a client count in its worker's memory.
async function countTo(client, n) {
  for (let want = 1; want <= n; want++) assert.equal(await ask(client, 'count'), want);
}

// where returns each client's worker, after a check that all workers have some.
async function where(clients) {
  const pids = await Promise.all(clients.map(async client => (await ask(client, 'whoami')).pid));
  assert.equal(new Set(pids).size, workers, `pids ${pids}`);
  return pids;
}

// upgraded waits for a client's WebSocket, which replaces its polling.
async function upgraded({ io: { engine } }) {
  if (engine.transport.name !== 'websocket') await once(engine, 'upgrade', { signal: AbortSignal.timeout(patience) });
}

async function useAndStay(clients) {
  const pids = await where(clients);
  await Promise.all(clients.map(client => countTo(client, 5)));
  assert.deepEqual(await where(clients), pids);
  for (const client of clients) assert.deepEqual(client.failures, []);
}

test('polling, then a WebSocket, as clients do', { timeout: patience }, async () => {
  const clients = await connectMany(60);
  await useAndStay(clients);
  await Promise.all(clients.map(upgraded));
  await Promise.all(clients.map(async client => assert.equal(await ask(client, 'count'), 6)));
});

test('a WebSocket alone', { timeout: patience }, async () => {
  await useAndStay(await connectMany(60, { transports: ['websocket'] }));
});

test('polling alone, over connections that all sessions share', { timeout: patience }, async () => {
  const agent = new http.Agent({ keepAlive: true });
  const clients = await connectMany(30, { transports: ['polling'], agent });
  await useAndStay(clients);
  clients.forEach(client => client.disconnect());
  agent.destroy();
});

test('a new id is good for everybody at once', { timeout: patience }, async () => {
  const get = async path => {
    const [response] = await once(http.get(server.url + path, { agent: false }), 'response');
    return { worker: response.headers['x-worker'], body: (await response.setEncoding('utf8').toArray()).join('') };
  };
  const seen = new Set();
  await Promise.all(Array.from({ length: 20 }, async () => {
    for (let i = 0; i < 25; i++) {
      const { worker, body } = await get('/socket.io/?EIO=4&transport=polling');
      const { sid } = JSON.parse(body.slice(1));
      seen.add(worker);
      // A request from elsewhere, which has the answer as soon as we have.
      const post = http.request(`${server.url}/socket.io/?EIO=4&transport=polling&sid=${sid}`, { agent: false, method: 'POST' });
      post.end('1'); // Engine.IO: close
      const [response] = await once(post, 'response');
      assert.deepEqual([response.statusCode, response.headers['x-worker'], (await response.setEncoding('utf8').toArray()).join('')],
        [200, worker, 'ok']);
    }
  }));
  assert.equal(seen.size, workers);
});

test('binary data comes back as it went', { timeout: patience }, async () => {
  const data = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i * 7 % 256));
  for (const transports of [['polling'], ['websocket']]) {
    const client = await connect({ transports });
    const echoed = await ask(client, 'echo', data, { nested: [data.subarray(0, 10)] });
    assert.deepEqual(echoed, data);
  }
});

test('a killed worker takes only its own sessions along', { timeout: patience }, async () => {
  const clients = await connectMany(30);
  const pids = await where(clients);
  await Promise.all(clients.map(client => countTo(client, 3)));
  const victim = pids[0];
  const orphans = clients.filter((_, i) => pids[i] === victim);
  const reconnected = orphans.map(client => once(client.io, 'reconnect', { signal: AbortSignal.timeout(patience) }));
  process.kill(victim, 'SIGKILL');
  await Promise.all(reconnected);
  await Promise.all(clients.map(async (client, i) => {
    const lost = pids[i] === victim;
    assert.equal(await ask(client, 'count'), lost ? 1 : 4);
    assert.equal((await ask(client, 'whoami')).pid === pids[i], !lost);
    if (!lost) assert.deepEqual(client.failures, []);
  }));
});
