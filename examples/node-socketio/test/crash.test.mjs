// A worker's death costs only its own sessions, and one that hangs is replaced.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { ask, Clients, patience, pidOf, request, start } from './harness.mjs';

test('a killed worker takes only its own sessions along', { timeout: 2 * patience }, async () => {
  const server = await start();
  const clients = new Clients(server);
  try {
    const all = await clients.connectMany(200);
    const pids = await Promise.all(all.map(pidOf));
    await Promise.all(all.map(client => ask(client, 'count')));
    const victim = pids[0];
    const orphans = all.filter((_, i) => pids[i] === victim);
    const reconnected = orphans.map(client => once(client.io, 'reconnect', { signal: AbortSignal.timeout(patience) }));
    process.kill(victim, 'SIGKILL');
    await Promise.all(reconnected);
    await Promise.all(all.map(async (client, i) => {
      const lost = pids[i] === victim;
      assert.equal(await ask(client, 'count'), lost ? 1 : 2);
      if (!lost) assert.deepEqual(client.failures, []);
    }));
  } finally {
    clients.close();
    await server.stop();
  }
});

test('a worker whose event loop is blocked is replaced, and who waited for it is answered by another', { timeout: patience }, async () => {
  const server = await start({ workers: 2, flags: ['--hang-timeout', '1s', '--dump-signal', 'none', '--balance', 'round-robin'] });
  const clients = new Clients(server);
  try {
    const [client] = await clients.connectMany(1, { transports: ['websocket'] });
    const hung = await pidOf(client);
    client.emit('block', 20_000, () => {});
    const answers = await Promise.all(Array.from({ length: 20 }, () => request(`${server.url}/`)));
    for (const { status, body } of answers) {
      assert.equal(status, 200);
      assert.notEqual(Number(body), hung);
    }
    await server.until(events => events.find(({ msg, pid }) => msg === 'worker died' && pid === hung));
  } finally {
    clients.close();
    await server.stop();
  }
});
