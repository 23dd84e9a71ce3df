// stickyd is not where the bytes pass.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { handshake, patience, polling, request, serve, sessionsApart, ways } from './harness.mjs';
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

for (const name of ['attach(io)', 'the preload and @socket.io/sticky 1.0.4', 'the preload and a server that listens']) {
  test(`a session that Engine.IO ends since a POST is too slow is forgotten, ${name}`, { timeout: patience }, () =>
    serve({ ...ways[name], env: { BODY_TIMEOUT: 300 } }, async server => {
      const sid = await handshake(server);
      const upload = await Wire.connect(server);
      await upload.send(`POST ${polling}&sid=${sid} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n4`);
      while (server.sessions() === 0) await sleep(10); // the published library registers it after the answer
      assert.equal((await upload.answer()).status, 408);
      while (server.sessions() > 0) await sleep(10);
      assert.match((await request(`${server.url}${polling}&sid=${sid}`)).body, /Session ID unknown/);
    }));
}
