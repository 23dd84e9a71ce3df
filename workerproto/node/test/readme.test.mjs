// The first Node example of the README, as it stands there.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { clients, freePort, here, patience, serve } from './harness.mjs';

const readme = readFileSync(here('../../../README.md'), 'utf8');
const [, program] = /^```js\n(.*?)^```/ms.exec(readme);
const [, , workers, ...command] = /^stickyd -n .*$/m.exec(readme)[0].split(' ');

test('50 clients that poll and upgrade, and nothing else is typed', { timeout: patience }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'stickyd-readme-'));
  const port = await freePort();
  try {
    assert.match(program, /listen\(3000\)/);
    writeFileSync(join(dir, 'server.js'), program.replace('3000', port));
    symlinkSync(here('node_modules'), join(dir, 'node_modules'));
    await serve({ cwd: dir, exact: ['-n', workers, ...command], workers: Number(workers) }, async server => {
      assert.equal(server.port, port);
      await clients(server.url, 50, { whoami: false });
      const { unknown_ids, sessions_bound } = await server.stop();
      assert.deepEqual({ unknown_ids, sessions_bound }, { unknown_ids: 0, sessions_bound: 50 });
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});
