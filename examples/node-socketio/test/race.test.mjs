// A new id is good at once, though the published library announces it only
// after the client has it. Beside it, the same workers under Node's own
// primary, which is not asked to pass: what it makes of it is printed.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { libraries, patience, request, start, startPrimary } from './harness.mjs';

const handshakes = 3000;

// race makes handshakes, each followed at once by a POST with the new id on a new
// connection, and resolves to how many got which answer instead of 200. Where it
// is to keep connections alive, it makes all handshakes on a few.
async function race(server, concurrency, { alive = false } = {}) {
  const url = `${server.url}/socket.io/?EIO=4&transport=polling`;
  const failed = {};
  let left = handshakes;
  const ask = (url, options) => request(url, { signal: AbortSignal.timeout(patience), ...options })
    .catch(err => ({ status: 0, body: err.message }));
  const one = async () => {
    const agent = alive && new http.Agent({ keepAlive: true, maxSockets: 1 });
    while (left-- > 0) {
      let answer = await ask(url, { agent });
      if (answer.status === 200) {
        const { sid } = JSON.parse(answer.body.slice(1));
        answer = await ask(`${url}&sid=${sid}`, { method: 'POST', body: '1' }); // Engine.IO: close
      }
      if (answer.status !== 200) failed[answer.body] = (failed[answer.body] ?? 0) + 1;
    }
    agent && agent.destroy();
  };
  try {
    await Promise.all(Array.from({ length: concurrency }, one));
  } finally {
    await server.stop();
  }
  return failed;
}

const unknown = '{"code":1,"message":"Session ID unknown"}';

for (const STICKY of ['sticky-1', '@socket.io/sticky']) {
  for (const concurrency of [1, 50, 300]) {
    test(`${handshakes} handshakes and what follows, ${concurrency} at a time, with ${STICKY}`, { timeout: 3 * patience }, async t => {
      const env = { ...libraries, STICKY };
      const failed = await race(await start({ env }), concurrency);
      const there = await race(await startPrimary({ env }), concurrency);
      t.diagnostic(`Session ID unknown: ${failed[unknown] ?? 0} under stickyd, ${there[unknown] ?? 0} under Node's primary`);
      assert.deepEqual(failed, {});
    });
  }
}

// Version 2 closes each connection.
test(`${handshakes} handshakes on kept-alive connections, which stickyd does not see, and what follows`, { timeout: 3 * patience }, async () => {
  assert.deepEqual(await race(await start({ env: { ...libraries, STICKY: 'sticky-1' } }), 10, { alive: true }), {});
});
