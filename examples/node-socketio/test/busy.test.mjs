// Connections while the channel is full of broadcasts: each must be answered
// for itself. A careless primary hands one client's connection over under
// another's message (workerproto/nodeipc/parcels.go).

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { ask, Clients, libraries, patience, request, start } from './harness.mjs';

test('bursts of connections between large broadcasts', { timeout: 2 * patience }, async () => {
  const server = await start({ env: { ...libraries, STICKY: 'sticky-1' } });
  const clients = new Clients(server);
  try {
    const talkers = await clients.connectMany(6, { transports: ['websocket'] });
    let talking = true;
    const talk = talkers.map(async client => {
      while (talking) await ask(client, 'broadcast', 'nobody', randomBytes(30_000));
    });
    let wrong = 0;
    for (let burst = 0; burst < 15; burst++) {
      await Promise.all(Array.from({ length: 100 }, async () => {
        const body = randomBytes(3000).toString('hex');
        const answer = await request(`${server.url}/echo`, { method: 'POST', body });
        if (answer.body !== body) wrong++;
      }));
    }
    talking = false;
    await Promise.all(talk);
    assert.equal(wrong, 0);
  } finally {
    clients.close();
    await server.stop();
  }
});
