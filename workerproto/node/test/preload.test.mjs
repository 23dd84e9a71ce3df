// The preload as stickyd brings it: nothing is installed, and nothing of the
// application is changed.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allNodes, app, here, nodes, patience, polling, request, serve, sessionsApart } from './harness.mjs';

const flags = ['--node-preload', 'on'];

async function swapped(server) {
  const [a, b] = await sessionsApart(server);
  const agents = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  const statuses = [];
  for (const [{ sid }, agent] of [[a, 0], [b, 1], [b, 0], [a, 1]]) {
    const { status } = await request(`${server.url}${polling}&sid=${sid}`, { agent: agents[agent], method: 'POST', body: '40' });
    statuses.push(status);
  }
  agents.forEach(agent => agent.destroy());
  return statuses;
}

for (const [version, node] of Object.entries(nodes)) {
  for (const SETUP of ['sticky-1', '@socket.io/sticky', 'listen', 'attach']) {
    test(`two agents that swap sessions: 200 with --node-preload, ${SETUP}, ${version}`, { timeout: patience }, () =>
      serve({ SETUP, node, flags }, async server => assert.deepEqual(await swapped(server), [200, 200, 200, 200])));
  }
}

test('its files are put back if they are lost, and removed at the end', { timeout: patience }, async () => {
  const TMPDIR = mkdtempSync(join(tmpdir(), 'stickyd "preload '));
  const env = { TMPDIR, NODE_OPTIONS: '--no-warnings' };
  try {
    await serve({ SETUP: 'sticky-1', env, flags }, async server => {
      const [copy] = readdirSync(TMPDIR);
      rmSync(join(TMPDIR, copy), { recursive: true });
      process.kill(server.readyWorkers()[0].pid, 'SIGKILL');
      await server.until(() => server.readyWorkers().length === 4);
      assert.ok(existsSync(join(TMPDIR, copy)));
      assert.deepEqual(await swapped(server), [200, 200, 200, 200]);
    });
    assert.deepEqual(readdirSync(TMPDIR), []);
  } finally {
    rmSync(TMPDIR, { recursive: true });
  }
});

test('an application that has the package has no second one', { timeout: patience }, () =>
  serve({ worker: 'own.cjs', SETUP: 'listen', flags, workers: 1 }, async server => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const id = (await request(`${server.url}/start`, { agent })).body;
    for (let n = 0; n < 3; n++) assert.equal((await request(`${server.url}/?sid=${id}`, { agent })).status, 200);
    agent.destroy();
    assert.equal((await server.stop()).returned, 0);
  }));

test('the preload of two copies is one', { timeout: patience }, async () => {
  const listeners = async how => {
    let n;
    await serve({ worker: 'listeners.cjs', workers: 1, flags, ...how }, async server => { n = (await request(server.url)).body; });
    return n;
  };
  assert.equal(await listeners({ options: ['--require', 'stickyd/preload'] }), await listeners({}));
});

for (const [version, node] of Object.entries(allNodes)) {
  const major = Number(/\d+/.exec(version)[0]);
  const allowed = major < 22 ? ['--experimental-permission'] : major < 26 ? ['--permission'] : ['--permission', '--allow-net'];
  test(`under the permission model, ${version}`, { timeout: patience }, () =>
    serve({ SETUP: 'listen', node, options: [...allowed, `--allow-fs-read=${here('..')}`] }, async server => {
      assert.deepEqual(await swapped(server), [200, 200, 200, 200]);
      assert.doesNotMatch(server.log, /preload/);
    }));
}

test('workers that it does not reach work without it, and this is said once', { timeout: patience }, () =>
  app('plain http', { workers: 3, command: ['env', '-u', 'NODE_OPTIONS', 'node', 'apps.cjs'] }, async ({ server, url }) => {
    assert.equal((await request(url)).body, 'hello');
    process.kill(server.readyWorkers()[0].pid, 'SIGKILL');
    await server.until(() => server.readyWorkers().length === 4);
    const said = server.events.filter(({ msg }) => msg.includes('preload'));
    assert.deepEqual(said.map(({ msg, level, hint }) => [level, msg.split(';')[0], hint]), [
      ['WARN', 'the preload did not reach the worker', 'does the program set NODE_OPTIONS? let it add to what is there, as in NODE_OPTIONS="$NODE_OPTIONS --your-option"; --node-preload off says that this is meant'],
    ]);
  }));
