// Frameworks and what else listens, with no flag but the number of workers: what
// they do under the primary of Node's own cluster module they do here.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect as connectTLS } from 'node:tls';
import { once } from 'node:events';
import { createServer } from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allNodes, app, clients, fails, freePort, patience, request, serve } from './harness.mjs';

const temporary = mkdtempSync(join(tmpdir(), 'stickyd-frameworks-'));
process.on('exit', () => rmSync(temporary, { recursive: true }));

const check = (name, options, run) => test(name, { timeout: patience }, () => app(options.APP ?? name, options, run));

for (const framework of ['plain http', 'express', 'koa', 'hapi', 'fastify', 'nest']) {
  check(framework, {}, async ({ server, url }) => {
    assert.equal((await request(url.replace('localhost', '127.0.0.1'))).body.length > 0, true);
    assert.equal((await clients(url, 20)).size, 2);
    const { unknown_ids: unknown, sessions_bound: bound } = await server.stop();
    assert.deepEqual({ unknown, bound }, { unknown: 0, bound: 20 });
  });
}

check('fastify listens on both addresses of localhost', { APP: 'fastify', env: { LOCALHOST: 'both' } }, async ({ server, port, url }) => {
  assert.equal((await clients(url.replace('localhost', '[::1]'), 10)).size, 2); // the other server is only fastify's
  for (const host of ['127.0.0.1', '[::1]']) {
    await server.until(events => events.find(({ msg, addr }) => msg === 'listening' && addr === `${host}:${port}`));
    assert.equal((await request(`http://${host}:${port}`)).body, 'hello');
  }
});

check('fastify where all addresses are listened on', { APP: 'fastify', listen: ':0', env: { LOCALHOST: 'both' } }, async ({ server }) => {
  for (const host of ['127.0.0.1', '[::1]']) assert.equal((await request(`http://${host}:${server.port}`)).body, 'hello');
});

test('two servers get the connections of their own ports', { timeout: patience }, async () => {
  const [PORT, OTHER_PORT] = [await freePort(), await freePort()];
  await serve({ worker: 'apps.cjs', workers: 2, listen: `127.0.0.1:${PORT}`, flags: ['-l', `127.0.0.1:${OTHER_PORT}`], env: { APP: 'two ports', PORT, OTHER_PORT } }, async () => {
    for (let n = 0; n < 8; n++) {
      for (const port of [PORT, OTHER_PORT]) assert.equal((await request(`http://127.0.0.1:${port}`)).body, `${port}`);
    }
  });
});

check('both families', {}, async ({ port }) => {
  assert.equal((await request(`http://127.0.0.1:${port}`)).body, 'four');
  assert.equal((await request(`http://[::1]:${port}`)).body, 'six');
});

for (const [name, node] of Object.entries(allNodes)) {
  for (const APP of ['reusePort', 'exclusive']) {
    check(`${APP}, ${name}`, { APP, node }, async ({ url }) => assert.equal((await request(url)).body, 'hello'));
  }
}

// TLS

const [KEY, CERT] = ['key', 'cert'].map(name => join(temporary, `${name}.pem`));
execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
  '-subj', '/CN=localhost', '-keyout', KEY, '-out', CERT], { stdio: 'ignore' });

// handshakes resolves to what a server says of TLS sessions that several clients
// resume, one after the other, and to the workers that answered.
async function handshakes(port, n) {
  const answers = [];
  let session;
  for (let i = 0; i < n; i++) {
    const socket = connectTLS({ port, host: '127.0.0.1', rejectUnauthorized: false, session, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', servername: 'localhost' });
    socket.on('session', got => { session = got; });
    socket.setEncoding('utf8').write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
    const text = (await socket.toArray()).join('');
    answers.push({ pid: /x-pid: (\d+)/.exec(text)?.[1], reused: text.trimEnd().endsWith('true') });
  }
  return answers;
}

for (const APP of ['https', 'http2 secure']) {
  check(APP, { env: { KEY, CERT } }, async ({ server, port }) => {
    const answers = await handshakes(port, 12);
    assert.equal(new Set(answers.map(({ pid }) => pid)).size, 2);
    assert.deepEqual(answers.slice(1).map(({ reused }) => reused), Array(11).fill(true)); // by whichever worker
    assert.match(server.events.find(({ msg }) => msg === 'listening').url, /^https:/);
    assert.match(server.log, /speaks TLS, in which stickyd cannot see session ids/);
  });
}

check('https beside http', { env: { KEY, CERT } }, async ({ port, other }) => {
  for (let n = 0; n < 4; n++) {
    assert.equal((await request(`http://127.0.0.1:${port}`)).body, 'plain');
    const [response] = await once(https.get(`https://127.0.0.1:${other}`, { rejectUnauthorized: false, agent: false }), 'response');
    assert.equal(response.statusCode, 200);
    response.resume();
  }
});

// servers that come and go

for (const APP of ['get-port', 'detect-port', 'portfinder', 'twice']) {
  check(APP, {}, async ({ server, port }) => {
    for (let n = 0; n < 10; n++) assert.equal((await request(`http://127.0.0.1:${port}`)).body, 'hello');
    assert.equal(server.readyWorkers().length, 2);
  });
}

for (const workers of [1, 2]) {
  const AGAIN = join(temporary, `again-${workers}`);
  check(`a server that closes and listens again, ${workers} workers`, { APP: 'closes', workers, env: { AGAIN } }, async ({ server, url }) => {
    for (let n = 0; n < workers; n++) {
      assert.equal((await request(`${url}/close`, { headers: { connection: 'close' } })).body, 'hello');
      await server.until(events => events.filter(({ msg }) => /takes no connections until it listens again/.test(msg)).length === n + 1);
    }
    const answer = request(url).catch(({ code }) => code); // of nobody: as under Node's primary
    writeFileSync(AGAIN, '');
    assert.ok(['hello', 'ECONNREFUSED'].includes((await answer).body ?? await answer));
    await server.until(events => events.filter(({ msg }) => /takes connections again/.test(msg)).length === workers);
    for (let n = 0; n < 4; n++) assert.equal((await request(url)).body, 'hello');
  });
}

// addresses

check('addresses', {}, async ({ server, port, other }) => {
  const told = () => server.events.filter(({ line }) => line?.startsWith('{')).map(({ line }) => line);
  await server.until(() => told().length === 6);
  const [any, mine, local] = [...new Set(told())].sort().map(line => JSON.parse(line.slice(line.indexOf('} {') + 2)));
  assert.equal(new Set(told()).size, 3); // both workers see the same
  assert.ok(any.port > 0 && any.family === 'IPv6' && any.address === '::', JSON.stringify(any));
  assert.equal((await request(`http://127.0.0.1:${any.port}`)).body, 'hello');
  assert.deepEqual([mine, local].sort((a, b) => b.family.localeCompare(a.family)),
    [{ address: '::', family: 'IPv6', port }, { address: '127.0.0.1', family: 'IPv4', port: other }]);
});

test('a Unix socket is there when its server listens', { timeout: patience }, async () => {
  const path = join(temporary, 'app.sock');
  await serve({ worker: 'apps.cjs', workers: 2, listen: null, env: { APP: 'unix socket', PORT: path } }, async server => {
    await server.until(events => events.find(({ line }) => line === `at ${path}`));
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal((await request('http://localhost/', { socketPath: path })).body, 'hello');
  });
  assert.ok(!existsSync(path));
});

for (const framework of ['nest', 'hapi', 'fastify']) {
  check(`the address that ${framework} tells is a URL`, { APP: framework }, async ({ server, port }) => {
    const { line } = await server.until(events => events.find(({ line }) => line?.startsWith('at ')));
    assert.equal(new URL(line.slice('at '.length)).port, `${port}`);
    assert.equal((await request(line.slice('at '.length))).status, 200);
  });
}

// what the application hears

check('trusting', {}, async ({ server, url }) => {
  assert.equal((await clients(url, 10)).size, 2);
  assert.ok(!server.log.includes('TypeError'), server.log);
  assert.equal(server.readyWorkers().length, 2);
});

check('restless', { workers: 1 }, async ({ url }) => assert.equal((await request(url)).body, 'hello'));

test('a worker of another user gets no socket that only root may open', { timeout: patience }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'stickyd-root-')); // nobody else may write there
  const SOCKET = join(dir, 's');
  try {
    await app('asks for more', { flags: ['--user', 'nobody'], env: { SOCKET } }, async ({ server, url }) => {
      assert.equal((await request(url)).body, 'hello');
      assert.deepEqual([...new Set(server.events.filter(({ line }) => line).map(({ line }) => line))], ['refused EACCES']);
    });
  } finally {
    rmSync(dir, { recursive: true });
  }
});

// A reload that says where to listen, and replaces workers, whose servers say it as well.
for (const change of ['env = { A = "1" }', 'workers = 3']) {
  test(`a reload says where to listen, and ${change}`, { timeout: patience }, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'stickyd-reload-'));
    const config = join(dir, 'stickyd.toml');
    try {
      writeFileSync(config, 'workers = 2\n');
      const other = await freePort();
      await app('plain http', { flags: ['--config', config], exact: ['--config', config, '--log-format', 'json', '--', process.execPath, 'apps.cjs'] }, async ({ server, url }) => {
        assert.equal((await request(url)).body, 'hello');
        writeFileSync(config, `listen = ["127.0.0.1:${other}"]\n${change.startsWith('workers') ? '' : 'workers = 2\n'}${change}\n`);
        server.ask('reload');
        assert.equal((await request(`http://127.0.0.1:${other}`)).body, 'hello');
        await assert.rejects(request(url), /ECONNREFUSED/);
        writeFileSync(config, 'workers = 2\nenv = { A = "2" }\n');
        server.ask('reload');
        assert.equal((await request(url)).body, 'hello');
        await assert.rejects(request(`http://127.0.0.1:${other}`), /ECONNREFUSED/);
      });
    } finally {
      rmSync(dir, { recursive: true });
    }
  });
}

test('a port that is in use', { timeout: patience }, async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port: PORT } = other.address();
  try {
    const printed = await fails([process.execPath, 'apps.cjs'], { APP: 'plain http', PORT }, []);
    assert.match(printed, /"line":".*EADDRINUSE/);
    assert.match(printed, new RegExp(`\\ncannot listen on :${PORT}: address already in use by node \\(pid ${process.pid}\\); stop it, or choose another with --listen\\n`));
  } finally {
    other.close();
  }
});
