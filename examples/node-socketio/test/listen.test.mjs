// Workers that only listen, as under Node's cluster module.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { patience, request, start } from './harness.mjs';

const command = ['node', fileURLToPath(new URL('listen.cjs', import.meta.url))];
const env = { PORT: '8080', HOST: '127.0.0.1' };

for (const serialization of ['advanced', 'json']) {
  test(`requests with bodies, serialized as ${serialization}`, { timeout: patience }, async () => {
    const server = await start({ command, env, flags: ['--serialization', serialization] });
    try {
      const pids = new Set();
      await Promise.all(Array.from({ length: 300 }, async () => {
        const body = randomBytes(50_000).toString('hex');
        const answer = await request(server.url, { method: 'POST', body });
        assert.ok(answer.body === body);
        pids.add(answer.headers['x-pid']);
      }));
      assert.equal(pids.size, 3);
      assert.match(server.log, /the address that they listen on is ignored","addr":"127\.0\.0\.1:8080"/);
    } finally {
      await server.stop();
    }
  });
}

test('a worker that leaves answers what it has, and is replaced', { timeout: patience }, async () => {
  const server = await start({ command, env, workers: 2 });
  try {
    const slow = Array.from({ length: 10 }, () => request(`${server.url}/slow`));
    assert.equal((await request(`${server.url}/leave`)).body, 'leaving');
    for (const { status } of await Promise.all(slow)) assert.equal(status, 200);
    await server.until(() => server.readyWorkers().length === 3);
    assert.match(server.log, /worker leaves of its own accord/);
    assert.equal((await request(server.url)).status, 200);
  } finally {
    await server.stop();
  }
});

test('open requests finish when stickyd stops', { timeout: patience }, async () => {
  const server = await start({ command, env, flags: ['--drain-timeout', '20s'] });
  const slow = Array.from({ length: 20 }, () => request(`${server.url}/slow`));
  await Promise.race([new Promise(resolve => setTimeout(resolve, 500)), ...slow]);
  await server.stop();
  for (const { status } of await Promise.all(slow)) assert.equal(status, 200);
});
