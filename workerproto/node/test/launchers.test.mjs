// Programs that start the server: those that stickyd passes the channel through, and
// those that are named as the cause.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { app, clients, fails, freePort, here, patience, request } from './harness.mjs';

const dir = mkdtempSync(join(tmpdir(), 'stickyd-launchers-'));
after(() => rmSync(dir, { recursive: true }));
const scripts = { prestart: `node ${here('build.cjs')}`, start: `node ${here('apps.cjs')}`, bare: `NODE_OPTIONS= node ${here('apps.cjs')}` };
writeFileSync(join(dir, 'package.json'), JSON.stringify({ name: 'launched', private: true, scripts }));
const inDir = ['--prefix', dir];

const bin = name => here(`node_modules/.bin/${name}`);

for (const [name, command] of Object.entries({
  'npm start': ['npm', 'start'],
  'npm start, which builds before': ['npm', ...inDir, 'start'],
  'sh, which builds before': ['sh', '-c', 'node build.cjs && node apps.cjs'],
  'yarn start': [bin('yarn'), 'start'],
  'npx, and tsx': ['npx', 'tsx', 'apps.cjs'],
  'tsx watch': [bin('tsx'), 'watch', 'apps.cjs'],
  'cross-env': [bin('cross-env'), 'SOME=thing', 'node', 'apps.cjs'],
  'dotenv-cli': [bin('dotenv'), '--', 'node', 'apps.cjs'],
  'sh, which stays': ['sh', '-c', 'node apps.cjs; exit'],
})) {
  test(`served through ${name}`, { timeout: patience }, () => app('plain http', { command }, async ({ server, url }) => {
    await clients(url, 8);
    for (const { resident_bytes: bytes } of JSON.parse(server.ask('status', '--json')).workers) assert.ok(bytes > 30 << 20, `${bytes} bytes are not the server's`);
    assert.equal((await server.stop()).unknown_ids, 0);
    assert.doesNotMatch(server.log, /opened a port itself|launcher/);
  }));
}

for (const [name, command, remedy] of [
  ['nodemon', [bin('nodemon'), 'apps.cjs'], /nodemon keeps what stickyd gives it from the server: run the script with node, and stickyd --watch \./],
  ['concurrently', [bin('concurrently'), 'node apps.cjs'], /concurrently keeps what stickyd gives it from the server: run the script with node itself/],
  ['node --watch', ['node', '--watch', 'apps.cjs'], /leave out --watch, and stickyd --watch \. restarts workers/],
]) {
  test(`${name} is named, and what to do`, { timeout: patience }, async () => {
    assert.match(await fails(command, { APP: 'plain http', PORT: await freePort() }), remedy);
  });
}

test('a server whose script clears NODE_OPTIONS is served through npm', { timeout: patience }, () =>
  app('plain http', { command: ['npm', ...inDir, 'run', 'bare'] }, async ({ server, url }) => {
    assert.equal((await request(url)).body, 'hello');
    assert.equal(server.events.filter(({ msg }) => msg.startsWith('the preload did not reach the worker')).length, 1);
  }));

test('a server that its launcher starts anew begins with no sessions', { timeout: patience }, async () => {
  const main = join(dir, 'main.cjs');
  const write = n => writeFileSync(main, `require(${JSON.stringify(here('apps.cjs'))}); // ${n}`);
  write(1);
  await app('plain http', { command: [bin('tsx'), 'watch', main], workers: 1 }, async ({ server, url }) => {
    await clients(url, 4);
    const [{ pid }] = server.readyWorkers();
    write(2);
    await server.until(() => server.readyWorkers().length === 2);
    assert.notEqual(server.readyWorkers()[1].pid, pid);
    await clients(url, 4);
  });
});
