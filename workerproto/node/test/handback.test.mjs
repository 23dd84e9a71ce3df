// What a connection carries when it goes from worker to worker, byte by byte.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { handshake, nodes, patience, sessionsApart, start, ways, whoami } from './harness.mjs';
import { Wire } from './wire.mjs';

const sha256 = data => createHash('sha256').update(data).digest('hex');

for (const [version, node] of Object.entries(nodes)) {
  for (const way of ['attach(io)', 'the preload and @socket.io/sticky 1.0.4', 'the preload and @socket.io/sticky 2.0.1', 'the preload and a server that listens']) {
    describe(`${version}, ${way}`, () => {
      let server, a, b;
      before(async () => {
        server = await start({ ...ways[way], node });
        [a, b] = await sessionsApart(server);
      }, { timeout: patience });
      after(() => server?.stop(), { timeout: patience });

      const get = ({ sid }, fields = '') => `GET /whoami?sid=${sid} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`;
      const post = ({ sid }, fields, body = '') => Buffer.concat([
        Buffer.from(`POST /whoami?sid=${sid} HTTP/1.1\r\nHost: h\r\n${fields}\r\n`), Buffer.from(body),
      ]);
      const sized = (session, body) => post(session, `Content-Length: ${body.length}\r\n`, body);
      const chunked = (...parts) => Buffer.concat([...parts, Buffer.alloc(0)].flatMap(part =>
        [Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n')]));

      // on opens a connection that has carried a request of a session.
      async function on(session) {
        const wire = await Wire.connect(server);
        await wire.send(get(session));
        await isFrom(wire, session);
        return wire;
      }
      // isFrom takes an answer and checks who gave it, and for what.
      async function isFrom(wire, session, body = '', method = undefined) {
        const answer = await wire.answer();
        assert.equal(answer.status, 200, answer.body);
        assert.notEqual(answer.headers.connection, 'close');
        const got = JSON.parse(answer.body);
        assert.equal(got.pid, session.pid);
        assert.equal(got.url, `/whoami?sid=${session.sid}`);
        assert.equal(got.size, body.length);
        assert.equal(got.hash, sha256(body));
        if (method) assert.equal(got.method, method);
        return got;
      }
      const check = (name, run) => test(name, { timeout: patience }, async () => {
        const wire = await on(a);
        try {
          await run(wire);
        } finally {
          wire.close();
        }
      });

      check('GET, to and fro', async wire => {
        for (const session of [b, a, a, b, b, a]) {
          await wire.send(get(session, 'X-Case: kEpt\r\n'));
          assert.equal((await isFrom(wire, session, '', 'GET')).headers['x-case'], 'kEpt');
        }
      });

      check('POST of any size', async wire => {
        let session = a;
        for (const size of [0, 1, 100, 1000, 65_000, 65_536, 70_000, 1_000_000, 20_000_000]) {
          session = session === a ? b : a;
          const body = randomBytes(size);
          await wire.send(sized(session, body));
          await isFrom(wire, session, body, 'POST');
        }
      });

      check('a body that comes after its head', async wire => {
        const body = randomBytes(100_000);
        const whole = sized(b, body);
        const head = whole.length - body.length;
        await wire.send(whole.subarray(0, head + 10));
        await whoami(server, a.sid); // it has read that
        await wire.send(whole.subarray(head + 10));
        await isFrom(wire, b, body);
      });

      check('chunked', async wire => {
        const parts = [randomBytes(10), randomBytes(70_000), randomBytes(1)];
        await wire.send(post(b, 'Transfer-Encoding: chunked\r\n', chunked(...parts)));
        await isFrom(wire, b, Buffer.concat(parts));
        await wire.send(post(a, 'Transfer-Encoding: chunked\r\n', chunked(...parts)));
        await isFrom(wire, a, Buffer.concat(parts));
      });

      check('Expect: 100-continue', async wire => {
        for (const session of [b, a]) {
          await wire.send(post(session, 'Content-Length: 5\r\nExpect: 100-continue\r\n'));
          assert.equal((await wire.head()).status, 100);
          await wire.send('hello');
          await isFrom(wire, session, Buffer.from('hello'));
        }
      });

      test('heads in two pieces, cut anywhere', { timeout: 3 * patience }, async () => {
        const body = Buffer.from('body\r\n\r\nbody');
        for (const [written, sent] of [[sized(b, body), body], [Buffer.from(get(b)), Buffer.alloc(0)]]) {
          await Promise.all(Array.from({ length: written.length - 1 }, async (_, i) => {
            const wire = await on(a);
            await wire.send(written.subarray(0, i + 1));
            await whoami(server, a.sid); // it has read that
            await wire.send(written.subarray(i + 1));
            await isFrom(wire, b, sent);
            wire.close();
          }));
        }
      });

      check('a head in two pieces that nobody writes like that stays where it is', async wire => {
        const written = get(b, 'X-Spaces:   many  \r\n');
        await wire.send(written.slice(0, -3));
        await whoami(server, a.sid);
        await wire.send(written.slice(-3));
        assert.equal(JSON.parse((await wire.answer()).body).pid, a.pid);
        await wire.send(written);
        assert.equal((await isFrom(wire, b)).headers['x-spaces'], 'many');
      });

      check('requests of one session behind each other, and what was before is answered first', async wire => {
        await wire.send(Buffer.concat([Buffer.from(get(b)), sized(b, Buffer.from('one')), Buffer.from(get(b)), sized(b, randomBytes(0))]));
        await isFrom(wire, b, '', 'GET');
        await isFrom(wire, b, Buffer.from('one'), 'POST');
        await isFrom(wire, b, '', 'GET');
        await isFrom(wire, b, '', 'POST');
        await wire.send(get(a));
        await isFrom(wire, a);
      });

      check('a request while the answer before it is not finished', async wire => {
        const name = a.sid + Math.random();
        await wire.send(`GET /hold?sid=${a.sid}&name=${name} HTTP/1.1\r\nHost: h\r\n\r\n`);
        assert.equal((await wire.head()).status, 200);
        assert.equal(await wire.chunk(), 'begun ');
        const body = randomBytes(200_000);
        const sent = wire.send(sized(b, body));
        await whoami(server, a.sid);
        const other = await Wire.connect(server);
        await other.send(`GET /release?sid=${a.sid}&name=${name} HTTP/1.1\r\nHost: h\r\n\r\n`);
        assert.equal((await other.answer()).body, 'released');
        assert.equal(await wire.chunk(), 'ended');
        assert.equal(await wire.chunk(), '');
        await sent;
        await isFrom(wire, b, body);
        other.close();
      });

      check('a request while much of the answer before it waits', async wire => {
        wire.socket.pause();
        await wire.send(`GET /flood?sid=${a.sid}&mib=16 HTTP/1.1\r\nHost: h\r\n\r\n`);
        await whoami(server, a.sid);
        await wire.send(get(b));
        wire.socket.resume();
        assert.equal((await wire.answer()).body.length, 16 << 20);
        await isFrom(wire, b);
      });

      check('a WebSocket', async wire => {
        await wire.send(`GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
        assert.equal((await wire.head()).status, 101);
      });

      check('an upgrade of a session, with frames behind it', async wire => {
        const sid = await handshakeOf(b);
        const frame = Buffer.from([0x81, 0x86, 0, 0, 0, 0, ...Buffer.from('2probe')]);
        await wire.send(Buffer.concat([Buffer.from(`GET /socket.io/?EIO=4&transport=websocket&sid=${sid} HTTP/1.1\r\nHost: h\r\n` +
          'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'), frame]));
        assert.equal((await wire.head()).status, 101);
        assert.equal((await wire.take(8)).subarray(2).toString(), '3probe');
      });

      // handshakeOf starts a session with the worker of another one.
      async function handshakeOf({ pid }) {
        for (;;) {
          const sid = await handshake(server);
          if ((await whoami(server, sid)).pid === pid) return sid;
        }
      }

      check('an id that nobody knows is answered by the worker that has the connection, and the connection stays', async wire => {
        for (let i = 0; i < 3; i++) {
          await wire.send('GET /socket.io/?EIO=4&transport=polling&sid=unknown HTTP/1.1\r\nHost: h\r\n\r\n');
          const { status, body } = await wire.answer();
          assert.equal(status, 400);
          assert.match(body, /Session ID unknown/);
        }
        await wire.send(get(b));
        await isFrom(wire, b);
      });

      check('what can\'t be told from a body is not moved, and nobody gets a wrong request', async wire => {
        // Behind another request in the same piece: the worker that has it answers.
        await wire.send(Buffer.concat([sized(a, Buffer.from('\r\n\r\n')), Buffer.from(get(b))]));
        await isFrom(wire, a, Buffer.from('\r\n\r\n'));
        const { pid } = JSON.parse((await wire.answer()).body);
        assert.equal(pid, a.pid);
        await wire.send(get(b));
        await isFrom(wire, b);
      });
    });
  }
}
