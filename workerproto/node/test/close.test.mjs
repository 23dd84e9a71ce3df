// A worker that closes its only door, and lives on.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handshake, patience, polling, request, serve, sessionsApart, ways, whoami } from './harness.mjs';
import { Wire } from './wire.mjs';

test('a session whose worker listens no more is unknown, not unavailable', { timeout: patience }, () =>
  serve({ ...ways['the preload and a server that listens'], flags: ['--queue-timeout', '5s'] }, async server => {
    const [a, b] = await sessionsApart(server);
    // While something is open, the server's end is not that of its sessions.
    const held = await Wire.connect(server);
    await held.send(`GET /hold?sid=${a.sid}&name=a HTTP/1.1\r\nHost: h\r\n\r\n`);
    await held.head();
    await request(`${server.url}/close?sid=${a.sid}`);
    const { pid } = await server.until(events => events.find(({ msg }) => /takes no connections until it listens again/.test(msg)));
    assert.equal(pid, a.pid);
    const { status, body } = await request(`${server.url}${polling}&sid=${a.sid}`, { method: 'POST', body: '1' });
    assert.equal(status, 400);
    assert.match(body, /Session ID unknown/);
    assert.equal((await whoami(server, b.sid)).pid, b.pid);
    assert.equal(await held.chunk(), 'begun ');
    held.close();
    for (let n = 0; n < 10; n++) assert.notEqual((await whoami(server, await handshake(server))).pid, a.pid);
  }));
