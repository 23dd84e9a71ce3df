// The example itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Clients, patience, request, start } from './harness.mjs';

const here = path => fileURLToPath(new URL(path, import.meta.url));

test('who chats in one worker is read in the others', { timeout: patience }, async () => {
  const server = await start({
    workers: 2, command: ['node', here('../server.js')], env: { NODE_PATH: here('node_modules') }, flags: ['--balance', 'round-robin'],
  });
  const clients = new Clients(server);
  try {
    assert.match((await request(server.url)).body, /<title>chat<\/title>/);
    assert.equal((await request(`${server.url}/server.js`)).status, 404);
    const all = await clients.connectMany(4, { transports: ['websocket'] });
    const slots = new Set();
    for (const [i, speaker] of all.entries()) {
      const heard = all.map(client => once(client, 'said', { signal: AbortSignal.timeout(patience) }));
      speaker.emit('say', `hello ${i}`);
      for (const [{ slot, text }] of await Promise.all(heard)) {
        assert.equal(text, `hello ${i}`);
        slots.add(slot);
      }
    }
    assert.equal(slots.size, 2);
  } finally {
    clients.close();
    await server.stop();
  }
});
