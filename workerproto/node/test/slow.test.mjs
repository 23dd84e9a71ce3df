// stickyd is not where the bytes pass.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { handshake, patience, serve, sessionsApart, ways } from './harness.mjs';
import { Wire } from './wire.mjs';

test('a client that reads slowly costs stickyd no memory, also on a connection that moved', { timeout: patience }, () =>
  serve(ways['attach(io)'], async server => {
    const mib = 64;
    const [a, b] = await sessionsApart(server);
    const flood = ({ sid }) => `GET /flood?sid=${sid}&mib=${mib} HTTP/1.1\r\nHost: h\r\n\r\n`;
    const before = server.memory();
    const wires = await Promise.all(Array.from({ length: 5 }, () => Wire.connect(server)));
    await Promise.all(wires.map(async wire => {
      await wire.send(`GET /whoami?sid=${a.sid} HTTP/1.1\r\nHost: h\r\n\r\n`);
      await wire.answer();
      await wire.send(flood(b));
      assert.equal((await wire.head()).status, 200);
      wire.socket.pause();
    }));
    for (let i = 0; i < 20; i++) await handshake(server); // all the while
    for (const wire of wires) {
      wire.socket.resume();
      let size = 0;
      for (let chunk; (chunk = await wire.chunk()) !== '';) size += chunk.length;
      assert.equal(size, mib << 20);
      wire.close();
    }
    const grown = server.memory() - before;
    assert.ok(grown < 16 << 20, `stickyd has grown by ${grown} bytes`);
  }));
