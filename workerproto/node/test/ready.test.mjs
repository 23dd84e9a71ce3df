// What clients get before a worker is ready.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { app, patience, polling, request, serve, ways } from './harness.mjs';

for (const name of ['attach(io)', 'attach(httpServer)', 'the preload and @socket.io/sticky 2.0.1', 'the preload and a server that listens']) {
  const late = { ...ways[name], env: { SETUP_AFTER: '1500' }, ready: false };

  test(`who connects before a worker is ready is answered afterwards, ${name}`, { timeout: patience }, () =>
    serve(late, async server => {
      assert.equal(server.readyWorkers().length, 0);
      const answers = await Promise.all(Array.from({ length: 60 }, () => request(server.url + polling)));
      assert.deepEqual(answers.map(({ status }) => status), answers.map(() => 200));
    }));

  test(`503 while no worker is ready, if clients are not to wait, ${name}`, { timeout: patience }, () =>
    serve({ ...late, flags: ['--queue-timeout', '0s'] }, async server => {
      const answer = await request(server.url + polling);
      assert.equal(answer.status, 503);
      assert.equal(answer.headers['retry-after'], '1');
      await server.until(() => server.readyWorkers().length === 3);
      assert.equal((await request(server.url + polling)).status, 200);
    }));
}

for (const [name, APP, flags] of [
  ["process.send('ready')", 'says ready', ['--wait-ready']],
  ["process.send('ready'), without the preload", 'says ready', ['--wait-ready', '--node-preload', 'off']],
  ['worker.ready()', 'calls ready', []],
]) {
  test(`a worker that listens gets no client before ${name}`, { timeout: patience }, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'stickyd-ready-'));
    const GO = join(dir, 'go');
    const listen = '127.0.0.1:0';
    try {
      await app(APP, { listen, ready: false, env: { GO }, flags: [...flags, '--queue-timeout', '300ms'] }, async ({ server }) => {
        await server.until(events => events.filter(({ line }) => line === 'listens').length === 2);
        assert.equal((await request(server.url)).status, 503);
        assert.equal(server.readyWorkers().length, 0);
        await writeFile(GO, '');
        await server.until(() => server.readyWorkers().length === 2);
        assert.equal((await request(server.url)).body, 'hello');
      });
    } finally {
      await rm(dir, { recursive: true });
    }
  });
}
