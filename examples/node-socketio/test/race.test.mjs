// A new id is good at once, though the published library announces it only
// after the client has it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { libraries, patience, request, start } from './harness.mjs';

const handshakes = 3000;

for (const STICKY of ['sticky-1', '@socket.io/sticky']) {
  for (const concurrency of [1, 50, 300]) {
    test(`${handshakes} handshakes and what follows, ${concurrency} at a time, with ${STICKY}`, { timeout: 3 * patience }, async () => {
      const server = await start({ env: { ...libraries, STICKY } });
      const url = `${server.url}/socket.io/?EIO=4&transport=polling`;
      const unknown = [];
      let left = handshakes;
      const one = async () => {
        while (left-- > 0) {
          const { sid } = JSON.parse((await request(url)).body.slice(1));
          const next = await request(`${url}&sid=${sid}`, { method: 'POST', body: '1' }); // Engine.IO: close
          if (next.status !== 200) unknown.push(next.body);
        }
      };
      try {
        await Promise.all(Array.from({ length: concurrency }, one));
        assert.deepEqual(unknown, []);
      } finally {
        await server.stop();
      }
    });
  }
}
