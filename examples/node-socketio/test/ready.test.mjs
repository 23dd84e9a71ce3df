// What a worker gets before it is ready, and what is said when it never is.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { libraries, patience, request, start } from './harness.mjs';

const late = { ...libraries, SETUP_AFTER: '1500' };

test('who connects before setupWorker is called is answered afterwards', { timeout: patience }, async () => {
  const server = await start({ env: late, ready: false });
  try {
    assert.equal(server.readyWorkers().length, 0);
    const answers = await Promise.all(Array.from({ length: 60 }, () => request(`${server.url}/socket.io/?EIO=4&transport=polling`)));
    assert.deepEqual(answers.map(({ status }) => status), answers.map(() => 200));
  } finally {
    await server.stop();
  }
});

test('503 while no worker is ready, if clients are not to wait', { timeout: patience }, async () => {
  const server = await start({ env: late, ready: false, flags: ['--queue-timeout', '0s'] });
  try {
    const answer = await request(`${server.url}/`);
    assert.equal(answer.status, 503);
    assert.equal(answer.headers['retry-after'], '1');
    await server.until(() => server.readyWorkers().length === 3);
    assert.equal((await request(`${server.url}/`)).status, 200);
  } finally {
    await server.stop();
  }
});

test('a launcher that takes the channel is named', { timeout: patience }, async () => {
  const dir = await mkdtemp(join(tmpdir(), 'launcher-'));
  await writeFile(join(dir, 'package.json'), '{"scripts":{"start":"sleep 1000"}}');
  const server = await start({ workers: 1, ready: false, command: ['npm', '--prefix', dir, 'start'], flags: ['--start-timeout', '3s'] });
  try {
    const event = await server.until(events => events.find(({ msg }) => msg.startsWith('worker is not ready in time')));
    assert.match(event.hint, /npm.*stickyd -- node server\.js/);
  } finally {
    await server.stop();
    await rm(dir, { recursive: true });
  }
});
