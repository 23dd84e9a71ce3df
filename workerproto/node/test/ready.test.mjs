// What clients get before a worker is ready.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { patience, polling, request, serve, ways } from './harness.mjs';

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
