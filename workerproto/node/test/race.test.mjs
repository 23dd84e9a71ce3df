// A new id is good at once: it was registered before the client got it.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { handshake, patience, polling, request, serve, ways } from './harness.mjs';

const handshakes = 3000;

for (const way of ['attach(io)', 'the preload and @socket.io/sticky 1.0.4', 'the preload and a server that listens']) {
  for (const [concurrency, alive] of [[1, false], [50, false], [300, false], [50, true]]) {
    // On connections that go to and fro, what registers waits behind handles.
    const on = alive ? 'on kept-alive connections, ' : '';
    test(`${handshakes} handshakes and what follows, ${concurrency} at a time, ${on}${way}`, { timeout: 3 * patience }, () =>
      // Nothing is waited for: an id is known or it is not.
      serve({ ...ways[way], flags: ['--park-timeout', '0s'] }, async server => {
        const unknown = [];
        let left = handshakes;
        const agents = Array.from({ length: concurrency }, () => alive && new http.Agent({ keepAlive: true, maxSockets: 1 }));
        await Promise.all(agents.map(async (agent, i) => {
          const others = agents[(i + 1) % concurrency];
          while (left-- > 0) {
            const sid = await handshake(server, { agent });
            const next = await request(`${server.url}${polling}&sid=${sid}`, { agent: others, method: 'POST', body: '1' }); // Engine.IO: close
            if (next.status !== 200) unknown.push(next.body);
          }
        }));
        agents.forEach(agent => agent && agent.destroy());
        assert.deepEqual(unknown, []);
        const { returned } = await server.stop();
        assert.equal(returned > 100, alive, `${returned} connections were given back`);
      }));
  }
}
