// The types are those of what the documentation shows.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { patience } from './harness.mjs';

const here = path => fileURLToPath(new URL(path, import.meta.url));

test('types', { timeout: patience }, () => {
  const { status, stdout } = spawnSync(process.execPath, [here('node_modules/typescript/bin/tsc'), '-p', here('types')], { encoding: 'utf8' });
  assert.equal(status, 0, stdout);
});
