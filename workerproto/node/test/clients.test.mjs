// Real clients, of each generation, on each transport, without an agent of
// their own: as people use them.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { after, afterEach, before, describe, test } from 'node:test';
import client2 from 'socket.io-client-2';
import client3 from 'socket.io-client-3';
import client4 from 'socket.io-client';
import { handshake, nodes, patience, polling, request, start, ways } from './harness.mjs';

const clients = { '2.5': client2, '3.1': client3, '4.8': client4 };
const transports = {
  'polling, then a WebSocket': { transports: ['polling', 'websocket'] },
  'a WebSocket alone': { transports: ['websocket'] },
  'polling alone': { transports: ['polling'] },
};
const newer = 'Node 24';

for (const [name, way, node, flags] of [
  ...Object.entries(ways).map(([name, way]) => [name, way]),
  ['attach(io), serialized as JSON', ways['attach(io)'], undefined, ['--serialization', 'json']],
  ['the preload and @socket.io/sticky 2.0.1, serialized as JSON', ways['the preload and @socket.io/sticky 2.0.1'], undefined, ['--serialization', 'json']],
  [`attach(io), ${newer}`, ways['attach(io)'], nodes[newer]],
  [`the preload and @socket.io/sticky in an ES module, ${newer}`, ways['the preload and @socket.io/sticky in an ES module'], nodes[newer]],
  [`the preload and a server that listens, ${newer}`, ways['the preload and a server that listens'], nodes[newer]],
  ['attach(io), round-robin', ways['attach(io)'], undefined, ['--balance', 'round-robin']],
  ['attach(io), random', ways['attach(io)'], undefined, ['--balance', 'random']],
]) {
  describe(name, () => {
    let server;
    const open = [];
    before(async () => { server = await start({ ...way, node, flags }); }, { timeout: patience });
    afterEach(() => open.splice(0).forEach(client => client.disconnect()));
    after(() => server?.stop(), { timeout: patience });

    async function connect(io, options) {
      const client = io(server.url, { forceNew: true, reconnection: false, ...options });
      open.push(client);
      await new Promise((resolve, reject) => client.on('connect', resolve).on('connect_error', reject));
      return client;
    }
    const ask = (client, ...args) => new Promise(resolve => client.emit(...args, resolve));

    for (const [version, io] of Object.entries(clients)) {
      for (const [transport, options] of Object.entries(transports)) {
        test(`clients ${version}: ${transport}`, { timeout: patience }, async () => {
          const all = await Promise.all(Array.from({ length: 12 }, () => connect(io, options)));
          const pids = (await Promise.all(all.map(client => ask(client, 'whoami')))).map(({ pid }) => pid);
          assert.ok(new Set(pids).size > 1, `pids ${pids}`);
          for (let n = 1; n <= 5; n++) {
            assert.deepEqual(await Promise.all(all.map(client => ask(client, 'count'))), all.map(() => n));
          }
          if (options.transports.length === 2) {
            await Promise.all(all.map(async ({ io: { engine } }) => engine.transport.name === 'websocket' || once(engine, 'upgrade')));
            assert.deepEqual(await Promise.all(all.map(client => ask(client, 'count'))), all.map(() => 6));
          }
        });
      }
    }

    test('a CORS preflight reaches the owner', { timeout: patience }, async () => {
      const url = `${server.url}${polling}&sid=${await handshake(server)}`;
      const headers = { Origin: 'https://example.com', 'Access-Control-Request-Method': 'POST' };
      assert.equal((await request(url, { method: 'OPTIONS', headers })).status, 204);
      assert.equal((await request(url, { method: 'POST', body: '40' })).status, 200);
    });

    test('random bytes by polling, there and back, on kept-alive connections', { timeout: patience }, async () => {
      const agent = new http.Agent({ keepAlive: true });
      const both = await Promise.all([1, 2].map(() => connect(client4, { transports: ['polling'], agent })));
      for (const size of [20_000, 1_000_000, 20_000_000]) {
        await Promise.all(both.map(async client => {
          const data = randomBytes(size);
          const echoed = await ask(client, 'echo', data);
          assert.ok(Buffer.isBuffer(echoed) && data.equals(echoed), `${size} bytes`);
        }));
      }
      agent.destroy();
    });
  });
}
