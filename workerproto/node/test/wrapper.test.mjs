// Which scripts are of programs that run another one in their own place.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import wrapper from '../lib/wrapper.js';
import { here } from './harness.mjs';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'stickyd-wrapper-')));
process.on('exit', () => rmSync(root, { recursive: true }));

function put(path, content = '') {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

function link(path, target) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  symlinkSync(target, join(root, path));
  return join(root, path);
}

for (const path of [
  'concurrently/server.js', 'cross-env/dist/server.js', 'dotenv-cli/cli.js', 'tsx/dist/cli.mjs', 'srv/yarn', 'srv/npm', 'srv/bin/pnpm.js', 'srv/nodemon.js', 'srv/npx',
]) {
  test(`an application: /${path}`, () => {
    assert.equal(wrapper.find(put(path)), undefined);
    put(`${path.split('/')[0]}/package.json`, { name: 'app' });
    assert.equal(wrapper.find(join(root, path)), undefined);
  });
}

for (const [what, content] of Object.entries({
  'without commands': { name: 'yarn', main: 'index.js' }, // as npm init calls it in a directory yarn
  'with another command': { name: 'yarn', bin: { yarn: 'bin/other.js' } },
  'that is no package.json': 'nonsense',
})) {
  test(`an application in a directory yarn, with a package.json ${what}`, () => {
    put('other/yarn/package.json', content);
    assert.equal(wrapper.find(put('other/yarn/index.js')), undefined);
  });
}

test('no script', () => {
  assert.equal(wrapper.find(undefined), undefined);
  assert.equal(wrapper.find(join(root, 'absent.js')), undefined);
  assert.equal(wrapper.find(root), undefined);
});

for (const [name, command, how] of [
  ['yarn', 'yarn', 'inherit'], ['cross-env', 'cross-env', 'inherit'], ['cross-env-shell', 'cross-env-shell', 'inherit'], ['dotenv', 'dotenv', 'inherit'],
  ['tsx', 'tsx', 'ipc'], ['nodemon', 'nodemon'], ['concurrently', 'concurrently'],
]) {
  test(`node_modules/.bin/${command}`, () => {
    const path = here(`node_modules/.bin/${command}`);
    assert.deepEqual({ ...wrapper.find(path), name }, { name, how });
    assert.deepEqual(wrapper.find(realpathSync(path)), wrapper.find(path));
  });
}

for (const name of ['npm', 'npx']) {
  test(`the ${name} of this machine`, () => {
    const path = execFileSync('which', [name], { encoding: 'utf8' }).trim();
    assert.deepEqual(wrapper.find(path), { name, how: 'inherit' });
    assert.deepEqual(wrapper.find(realpathSync(path)), { name, how: 'inherit' });
  });
}

test('pnpm, and one that corepack runs', () => {
  put('lib/node_modules/pnpm/package.json', { name: 'pnpm', bin: { pnpm: 'bin/pnpm.cjs', pnpx: 'bin/pnpx.cjs' } });
  put('lib/node_modules/pnpm/bin/package.json', { type: 'commonjs' });
  put('lib/node_modules/pnpm/bin/pnpm.cjs');
  assert.deepEqual(wrapper.find(link('bin/pnpm', '../lib/node_modules/pnpm/bin/pnpm.cjs')), { name: 'pnpm', how: 'inherit' });
  put('lib/node_modules/corepack/package.json', { name: 'corepack', bin: { corepack: './dist/corepack.js', yarn: './dist/yarn.js' } });
  put('lib/node_modules/corepack/dist/yarn.js');
  assert.deepEqual(wrapper.find(link('bin/yarn', '../lib/node_modules/corepack/dist/yarn.js')), { name: 'yarn', how: 'inherit' });
});

for (const path of ['app/.yarn/releases/yarn-4.9.2.cjs', '.cache/node/corepack/v1/yarn/4.9.2/yarn.js']) {
  test(`yarn in one file: ${path}`, () => assert.deepEqual(wrapper.find(put(path)), { name: 'yarn', how: 'inherit' }));
}
