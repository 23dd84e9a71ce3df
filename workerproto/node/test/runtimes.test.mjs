// What else runs Node's programs: they are served as Node's are.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { io } from 'socket.io-client';
import { app, clients, fails, handshake, here, patience, polling, request, runtimes } from './harness.mjs';

const listens = { APP: 'plain http' };
const kinds = {
  'a server that listens': listens,
  '@socket.io/sticky 1.0.4': { APP: 'setupWorker', listen: '127.0.0.1:0', env: { STICKY: 'sticky-1' } },
  '@socket.io/sticky 2.0.1': { APP: 'setupWorker', listen: '127.0.0.1:0', env: { STICKY: '@socket.io/sticky' } },
};

// check makes a test of that kind of application in that runtime.
const check = (name, runtime, { APP, ...options }, run) =>
  test(`${runtime}: ${name}`, { timeout: patience }, () => app(APP, { run: runtimes[runtime], ...options }, run));

for (const [runtime, command] of Object.entries(runtimes)) {
  for (const [kind, options] of Object.entries(kinds)) {
    check(`sessions, ${kind}`, runtime, options, async ({ server, url }) => {
      const at = options.listen ? server.url : url;
      assert.equal((await clients(at, 20)).size, 2);
      const { unknown_ids: unknown, sessions_bound: bound } = await server.stop();
      assert.deepEqual({ unknown, bound }, { unknown: 0, bound: 20 });
    });

    check(`sessions that share a kept-alive connection, ${kind}`, runtime, { ...options, workers: 3 }, async ({ server, url }) => {
      const at = { url: options.listen ? server.url : url };
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const sids = [];
      while (sids.length < 8) sids.push(await handshake(at, { agent }));
      for (const sid of sids) {
        const { status, body } = await request(`${at.url}${polling}&sid=${sid}`, { agent, method: 'POST', body: '40' });
        assert.deepEqual({ status, body }, { status: 200, body: 'ok' });
      }
      agent.destroy();
    });
  }

  // What stickyd relays stands between the connections that it hands over.
  check('an adapter', runtime, kinds['@socket.io/sticky 1.0.4'], async ({ server }) => {
    const n = 30;
    const sockets = await Promise.all(Array.from({ length: n }, () => new Promise((resolve, reject) => {
      const socket = io(server.url, { forceNew: true, reconnection: false, transports: ['polling'], timeout: patience });
      socket.once('connect', () => resolve(socket)).once('connect_error', reject);
    })));
    for (let i = 0; i < 5; i++) {
      const counts = await Promise.all(sockets.map(socket => socket.timeout(patience).emitWithAck('everyone')));
      assert.deepEqual(counts, Array(n).fill(n));
    }
    sockets.forEach(socket => socket.close());
  });

  test(`${runtime}: a directory for temporary files with spaces and quotes in its name`, { timeout: patience }, async () => {
    const TMPDIR = mkdtempSync(join(tmpdir(), `stickyd "of my" o'wn `));
    try {
      await app('plain http', { run: command, env: { TMPDIR } }, async ({ server, url }) => {
        await clients(url, 5);
        assert.equal((await server.stop()).sessions_bound, 5);
      });
    } finally {
      rmSync(TMPDIR, { recursive: true });
    }
  });

  check('two servers', runtime, { APP: 'two ports' }, async ({ port, other }) => {
    for (let n = 0; n < 4; n++) {
      for (const at of [port, other]) assert.equal((await request(`http://127.0.0.1:${at}`)).body, `${at}`);
    }
  });

  check('many connections as soon as it listens', runtime, listens, async ({ server, url }) => {
    for (let n = 0; n < 10; n++) await Promise.all(Array.from({ length: 40 }, () => handshake({ url })));
    assert.equal((await server.stop()).refused, 0);
  });

  const APP = `${runtime.split(' ')[0]}.serve`;
  test(`${runtime}: ${APP} is told to serve past stickyd`, { timeout: patience }, async () => {
    const printed = await fails([...command, here('apps.cjs')], { APP });
    assert.match(printed, /has opened port \d+ itself, so stickyd cannot pass connections to it\n/);
    assert.ok(printed.includes(`\n${APP} listens by itself`), printed);
  });
}
