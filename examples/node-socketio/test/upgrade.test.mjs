// stickyd is upgraded in place, and its workers replaced, while clients go on.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { ask, Clients, patience, pidOf, start, stickyd } from './harness.mjs';

const run = promisify(execFile);

// controlled starts stickyd with a control socket; tell runs one of its commands.
async function controlled(flags = []) {
  const dir = mkdtempSync(join(tmpdir(), 'node-sticky-'));
  const control = join(dir, 'control.sock');
  const server = await start({ flags: ['--control', control, ...flags] });
  const stop = server.stop;
  server.stop = async () => {
    await stop();
    rmSync(dir, { recursive: true });
  };
  server.tell = (verb, ...args) => run(stickyd(), [verb, '--control', control, ...args], { timeout: patience });
  return server;
}

test('an upgrade in place is noticed by no client and no worker', { timeout: 2 * patience }, async () => {
  const server = await controlled();
  const clients = new Clients(server);
  try {
    const all = [
      ...await clients.connectMany(20, { transports: ['polling'] }),
      ...await clients.connectMany(20, { transports: ['websocket'] }),
    ];
    const pids = await Promise.all(all.map(pidOf));
    let upgrading = true;
    const counting = all.map(async client => {
      let counts = 0;
      while (upgrading || counts === 0) assert.equal(await ask(client, 'count'), ++counts);
    });
    for (let i = 0; i < 3; i++) await server.tell('upgrade');
    upgrading = false;
    await Promise.all(counting);
    assert.deepEqual(await Promise.all(all.map(pidOf)), pids);
    for (const { failures } of all) assert.deepEqual(failures, []);
    assert.equal(server.events.filter(({ msg }) => msg === 'upgraded').length, 3);

    // The workers hear each other still, and new clients come in.
    const fresh = await clients.connect();
    const news = all.map(client => once(client, 'news', { signal: AbortSignal.timeout(patience) }));
    await ask(fresh, 'broadcast', '', 'after the upgrades');
    for (const args of await Promise.all(news)) assert.deepEqual(args, ['after the upgrades']);
  } finally {
    clients.close();
    await server.stop();
  }
});

test('a rolling restart lets clients go on, elsewhere once their time is over', { timeout: 2 * patience }, async () => {
  const server = await controlled(['--min-ready', '0s']);
  const clients = new Clients(server);
  try {
    const all = await clients.connectMany(30);
    const old = new Set(await Promise.all(all.map(pidOf)));
    assert.equal(old.size, 3);
    await server.tell('restart');
    await Promise.all(all.map(async client => {
      client.connected || await once(client, 'connect', { signal: AbortSignal.timeout(patience) });
      assert.ok(!old.has(await pidOf(client)), 'still at an old worker');
    }));
    assert.equal(server.events.filter(({ msg }) => msg === 'worker died').length, 0);
  } finally {
    clients.close();
    await server.stop();
  }
});
