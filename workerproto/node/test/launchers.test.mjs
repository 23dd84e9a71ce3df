// Programs that start the server: those that stickyd passes the channel through, and
// those that are named as the cause.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { app, clients, fails, freePort, here, patience } from './harness.mjs';

const bin = name => here(`node_modules/.bin/${name}`);

for (const [name, command] of Object.entries({
  'npm start': ['npm', 'start'],
  'yarn start': [bin('yarn'), 'start'],
  'npx, and tsx': ['npx', 'tsx', 'apps.cjs'],
  'tsx watch': [bin('tsx'), 'watch', 'apps.cjs'],
  'cross-env': [bin('cross-env'), 'SOME=thing', 'node', 'apps.cjs'],
  'dotenv-cli': [bin('dotenv'), '--', 'node', 'apps.cjs'],
  'sh, which stays': ['sh', '-c', 'node apps.cjs; exit'],
})) {
  test(`served through ${name}`, { timeout: patience }, () => app('plain http', { command }, async ({ server, url }) => {
    await clients(url, 8);
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
