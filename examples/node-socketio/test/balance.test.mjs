// Which worker gets a new session.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clients, patience, pidOf, request, start } from './harness.mjs';

const workers = 3, sessions = 60;

// spread returns how many of the sessions each worker got, the fewest first.
async function spread(balance, connect) {
  const server = await start({ workers, flags: ['--balance', balance] });
  const clients = new Clients(server);
  try {
    const counts = new Map();
    for (const pid of await Promise.all((await connect(clients)).map(pidOf))) counts.set(pid, (counts.get(pid) ?? 0) + 1);
    return [...counts.values()].sort((a, b) => a - b);
  } finally {
    clients.close();
    await server.stop();
  }
}

// A burst of WebSockets is one connection for each session.
const burst = clients => clients.connectMany(sessions, { transports: ['websocket'] });

test('round-robin: one after the other', { timeout: patience }, async () => {
  assert.deepEqual(await spread('round-robin', burst), [20, 20, 20]);
});

test('least-connection: a burst spreads evenly, though no session is registered yet', { timeout: patience }, async () => {
  assert.deepEqual(await spread('least-connection', burst), [20, 20, 20]);
});

test('random: everybody gets some', { timeout: patience }, async () => {
  const counts = await spread('random', burst);
  assert.equal(counts.length, workers);
  assert.equal(counts.reduce((a, b) => a + b), sessions);
});

test('least-connection: other requests count for some seconds only', { timeout: patience }, async () => {
  const server = await start({ workers: 2, env: { STICKY: 'sticky-1', ADAPTER: '' } });
  try {
    const seen = new Set();
    for (let n = 0; n < 30; n++) seen.add((await request(`${server.url}/`)).body);
    assert.equal(seen.size, 2);
  } finally {
    await server.stop();
  }
});
