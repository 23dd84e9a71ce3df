// Each transport, with each published version of @socket.io/sticky.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';
import { ask, Clients, libraries, patience, pidOf, request, start, upgraded } from './harness.mjs';

for (const [name, env, flags] of [
  ['@socket.io/sticky 1.0.4', { ...libraries, STICKY: 'sticky-1' }, []],
  ['@socket.io/sticky 2.0.1', libraries, []],
  ['@socket.io/sticky 1.0.4, serialized as JSON', { ...libraries, STICKY: 'sticky-1' }, ['--serialization', 'json']],
  ['@socket.io/sticky 2.0.1, serialized as JSON', libraries, ['--serialization', 'json']],
  ['@socket.io/sticky 2.0.1, told that they are Node workers', libraries, ['--protocol', 'node']],
]) {
  describe(name, () => {
    let server, clients;
    before(async () => {
      server = await start({ env, flags });
      clients = new Clients(server);
    }, { timeout: 180_000 });
    afterEach(() => clients.close());
    after(() => server?.stop(), { timeout: patience });

    // Sessions stay where they are and can count in their worker's memory.
    async function useAndStay(all) {
      const pids = await Promise.all(all.map(pidOf));
      assert.ok(new Set(pids).size > 1, `pids ${pids}`);
      for (let n = 1; n <= 5; n++) {
        assert.deepEqual(await Promise.all(all.map(client => ask(client, 'count'))), all.map(() => n));
      }
      assert.deepEqual(await Promise.all(all.map(pidOf)), pids);
      for (const client of all) assert.deepEqual(client.failures, []);
    }

    test('polling, then a WebSocket, as clients do', { timeout: patience }, async () => {
      const all = await clients.connectMany(40);
      await useAndStay(all);
      await Promise.all(all.map(upgraded));
      assert.deepEqual(await Promise.all(all.map(client => ask(client, 'count'))), all.map(() => 6));
    });

    test('a WebSocket alone', { timeout: patience }, async () => {
      await useAndStay(await clients.connectMany(40, { transports: ['websocket'] }));
    });

    test('polling alone', { timeout: patience }, async () => {
      await useAndStay(await clients.connectMany(20, { transports: ['polling'], agent: new http.Agent({ keepAlive: false }) }));
    });

    test('a CORS preflight carries the id and reaches the owner', { timeout: patience }, async () => {
      const path = '/socket.io/?EIO=4&transport=polling';
      const { sid } = JSON.parse((await request(server.url + path)).body.slice(1));
      const preflight = await request(`${server.url}${path}&sid=${sid}`, {
        method: 'OPTIONS',
        headers: { Origin: 'https://example.com', 'Access-Control-Request-Method': 'POST' },
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers['access-control-allow-origin'], 'https://example.com');
      assert.equal((await request(`${server.url}${path}&sid=${sid}`, { method: 'POST', body: '40' })).status, 200);
    });

    for (const size of [20_000, 1_000_000, 20_000_000]) {
      test(`${size} random bytes by polling, there and back`, { timeout: patience }, async () => {
        const client = await clients.connect({ transports: ['polling'], agent: new http.Agent({ keepAlive: false }) });
        const data = randomBytes(size);
        const echoed = await ask(client, 'echo', data);
        assert.ok(Buffer.isBuffer(echoed) && data.equals(echoed));
      });
    }

    test('the other requests of the server are answered', { timeout: patience }, async () => {
      assert.match((await request(`${server.url}/`)).body, /^\d+$/);
    });
  });
}
