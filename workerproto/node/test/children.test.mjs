// What a worker starts does not take itself for the worker.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allNodes, app, patience, runtimes } from './harness.mjs';

for (const [name, run] of [...Object.entries(allNodes).map(([name, path]) => [name, [path]]), ...Object.entries(runtimes)]) {
  test(`children of a worker in ${name}`, { timeout: patience }, () => app('children', { run }, async ({ server }) => {
    const said = await server.until(events => {
      const lines = events.filter(({ msg, line }) => msg === 'worker output' && line.startsWith('child '));
      return lines.length === 4 && lines.map(({ line }) => JSON.parse(line.slice('child '.length))); // two of each worker
    });
    for (const one of said) assert.deepEqual(one, { names: ['STICKYD_INSTANCE', 'STICKYD_WORKER', 'STICKYD_WORKERS'], isWorker: false });
    assert.equal((await server.stop()).sessions_bound, 0);
  }));
}
