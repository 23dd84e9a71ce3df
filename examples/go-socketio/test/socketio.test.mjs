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
import { startAlone, startServer } from './harness.mjs';

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
  const stopped = server.log().split('\n').filter(line => line.includes('"worker stopped"')).map(line => JSON.parse(line).exit);
  assert.deepEqual(stopped, Array(3).fill('exit status 0'), 'what stickyd stops ends well');
}, { timeout: 60_000 });

// connect resolves to a client that is connected.
async function connect({ url = server.url, ...options } = {}) {
  const client = io(url, { forceNew: true, reconnectionDelay: 1, reconnectionDelayMax: 50, ...options });
  open.add(client);
  client.failures = [];
  client.said = [];
  client.on('said', what => client.said.push(what));
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

// reconnect waits until a client is back. An attempt may fail, namely if it gets
// to a worker that is dying: once() would take that for the end.
function reconnect({ io: manager }) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('not back')), patience);
    manager.once('reconnect', () => {
      clearTimeout(timer);
      resolve();
    });
  });
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
  const reconnected = orphans.map(reconnect);
  process.kill(victim, 'SIGKILL');
  await Promise.all(reconnected);
  await Promise.all(clients.map(async (client, i) => {
    const lost = pids[i] === victim;
    assert.equal(await ask(client, 'count'), lost ? 1 : 4);
    assert.equal((await ask(client, 'whoami')).pid === pids[i], !lost);
    if (!lost) assert.deepEqual(client.failures, []);
  }));
});

// What a worker emits reaches the clients of all workers.

// crowd returns clients of all workers, and one of each worker among them, who
// speaks. They have WebSockets: Engine.IO (3.0.5) now and then loses a client that
// polls while it is spoken to ("polling write error": it cleans up after a poll
// when the next one may have come), and the larger the messages, the more often.
async function crowd() {
  const clients = await connectMany(18, { transports: ['websocket'] });
  const pidOf = async client => (await ask(client, 'whoami')).pid;
  const pids = await Promise.all(clients.map(pidOf));
  while (new Set(pids).size < workers) { // those of the last test may still be leaving
    clients.push(await connect({ transports: ['websocket'] }));
    pids.push(await pidOf(clients.at(-1)));
  }
  const speakers = [...new Set(pids)].map(pid => clients[pids.indexOf(pid)]);
  return { clients, pids, speakers };
}

// settle resolves when all that speakers have emitted before has come to
// clients, even what would come a second time, or back to where it began: each
// worker, one after the other, sends a mark on the same way, and the first one
// another.
let marks = 0;
async function settle({ clients, speakers }) {
  for (const speaker of [...speakers, speakers[0]]) {
    const mark = `mark ${++marks}`;
    const arrived = clients.map(client => new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no ${mark}`)), patience / 2);
      client.on('said', function listen(what) {
        if (what !== mark) return;
        clearTimeout(timer);
        client.off('said', listen);
        resolve();
      });
    }));
    await Promise.all([ask(speaker, 'say', '', mark), ...arrived]);
  }
}

// heard takes what a client has heard, but for marks.
const heard = client => client.said.splice(0).filter(what => !/^mark/.test(what));

// expect settles and compares what each client has heard with want(client).
async function expect(everybody, want, message) {
  await settle(everybody);
  everybody.clients.forEach((client, i) => assert.deepEqual(heard(client), want(client), `client ${i}: ${message}`));
}

async function exchange(everybody) {
  const { clients, pids, speakers } = everybody;
  const inside = new Set(clients.filter((_, i) => i % 2));
  await Promise.all([...inside].map(client => ask(client, 'join', 'room')));
  for (const speaker of speakers) {
    await ask(speaker, 'say', '', 'to all');
    await expect(everybody, () => ['to all'], 'everybody hears it, once');

    await ask(speaker, 'tell', '', 'to the others');
    await expect(everybody, client => client === speaker ? [] : ['to the others'], 'all but the sender hear it');

    await ask(speaker, 'say', 'room', 'to the room');
    await expect(everybody, client => inside.has(client) ? ['to the room'] : [], 'the room hears it');

    await ask(speaker, 'tell', 'room', 'to the rest');
    await expect(everybody, client => inside.has(client) && client !== speaker ? ['to the rest'] : [], 'the rest of the room hears it');

    await ask(speaker, 'announce', 'by the others');
    const own = pids[clients.indexOf(speaker)];
    await expect(everybody, client => pids[clients.indexOf(client)] === own ? [] : ['by the others'], 'each other worker says it to its own');
  }
}

test('what is said reaches the clients of all workers', { timeout: patience }, async () => {
  await exchange(await crowd());
});

test('what is said reaches clients that poll, and those that are about to stop', { timeout: patience }, async () => {
  const { speakers } = await crowd();
  const clients = [...await connectMany(9, { transports: ['polling'] }), ...await connectMany(9)];
  const data = Buffer.from(Array.from({ length: 1000 }, (_, i) => i % 256));
  for (const speaker of speakers) {
    await ask(speaker, 'say', '', data);
    await expect({ clients, speakers }, () => [data], 'everybody hears it, once');
  }
});

test('what one client says arrives in its order', { timeout: patience }, async () => {
  const everybody = await crowd();
  const lines = Array.from({ length: 500 }, (_, i) => i);
  for (const line of lines) everybody.speakers[0].emit('say', '', line);
  await expect(everybody, () => lines, 'all lines');
});

test('binary data reaches the clients of all workers as it was', { timeout: patience }, async () => {
  const everybody = await crowd();
  const data = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i * 31 % 251));
  const nested = { text: 'ü', number: 1.5, nested: [data.subarray(0, 300), data.subarray(7, 8), Buffer.alloc(0)] };
  for (const speaker of everybody.speakers) {
    await ask(speaker, 'say', '', data);
    await ask(speaker, 'say', '', nested);
    await expect(everybody, () => [data, nested], 'the same bytes');
  }
});

async function rearrange(everybody) {
  const { clients, speakers: [speaker, other] } = everybody;
  const one = new Set(clients.filter((_, i) => i % 2));
  const two = new Set(clients.filter((_, i) => i % 3 === 0));
  await Promise.all([...one].map(client => ask(client, 'join', 'one')));
  await Promise.all([...two].map(client => ask(client, 'join', 'two')));

  await ask(speaker, 'invite', 'one', 'two');
  await ask(speaker, 'say', 'two', 'welcome');
  const either = client => one.has(client) || two.has(client);
  await expect(everybody, client => either(client) ? ['welcome'] : [], 'those of room one are in room two, too');

  await ask(speaker, 'dissolve', 'one');
  await ask(speaker, 'say', 'one', 'anybody?');
  await expect(everybody, () => [], 'nobody is left in room one');
  await ask(other, 'say', 'two', 'we are here');
  await expect(everybody, client => either(client) ? ['we are here'] : [], 'nobody has left room two');

  const leaving = clients.filter((client, i) => i % 4 && !everybody.speakers.includes(client));
  const staying = clients.filter(client => !leaving.includes(client));
  await Promise.all(leaving.map(client => ask(client, 'join', 'out')));
  const gone = leaving.map(client => once(client, 'disconnect', { signal: AbortSignal.timeout(patience) }));
  for (const client of leaving) client.io.reconnection(false);
  await ask(other, 'kick', 'out');
  await Promise.all(gone);
  await ask(speaker, 'say', '', 'who is left?');
  await expect({ ...everybody, clients: staying }, () => ['who is left?'], 'the others have stayed');
  for (const client of leaving) assert.ok(!client.connected);
}

test('clients of all workers join, leave and go as one client asks', { timeout: patience }, async () => {
  await rearrange(await crowd());
});

test('all this goes on after a worker was killed and replaced', { timeout: 2 * patience }, async () => {
  const before = await crowd();
  const orphans = before.clients.filter((_, i) => before.pids[i] === before.pids[0]);
  const reconnected = orphans.map(reconnect);
  const pid = await server.replace(before.pids[0]);
  await Promise.all(reconnected);
  const newcomers = await crowd();
  assert.ok(newcomers.pids.includes(pid), `pids ${newcomers.pids}, not ${pid}`);
  const clients = [...before.clients, ...newcomers.clients];
  const everybody = { clients, pids: await where(clients), speakers: newcomers.speakers };
  await exchange(everybody);
  await rearrange(everybody);
});

test('alone, without stickyd', { timeout: 2 * patience }, async () => {
  const { url, stop } = await startAlone();
  try {
    const clients = await connectMany(4, { url });
    const everybody = { clients, speakers: [clients[0]] };
    await ask(clients[1], 'join', 'room');
    const data = Buffer.alloc(100_000, 7);
    await ask(clients[0], 'announce', 'to nobody');
    await ask(clients[0], 'say', '', 'to all');
    await ask(clients[0], 'tell', '', 'to the others');
    await ask(clients[0], 'say', 'room', data);
    await expect(everybody, client => ['to all', ...client === clients[0] ? [] : ['to the others'],
      ...client === clients[1] ? [data] : []], 'they hear it');
    const gone = once(clients[1], 'disconnect', { signal: AbortSignal.timeout(patience) });
    await ask(clients[0], 'kick', 'room');
    await gone;
  } finally {
    for (const client of open) client.disconnect();
    await stop();
  }
});
