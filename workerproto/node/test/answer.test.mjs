// A POST's answer that takes three minutes is not cut. It goes on beside the
// tests of other files, so this file is the first.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handshake, request, serve, ways } from './harness.mjs';

const seconds = 180;

test(`answers that are streamed for ${seconds} s`, { timeout: 2 * seconds * 1000 }, async () => {
  await Promise.all(['attach(io)', 'the preload and @socket.io/sticky 2.0.1', 'the preload and a server that listens'].map(way =>
    serve(ways[way], async server => {
      const sid = await handshake(server);
      const { status, body } = await request(`${server.url}/clock?sid=${sid}&seconds=${seconds}`, { method: 'POST', body: 'x'.repeat(100) });
      assert.equal(status, 200);
      assert.equal(body, Array.from({ length: seconds }, (_, i) => `${i}\n`).join('') + 'done');
    })));
});
