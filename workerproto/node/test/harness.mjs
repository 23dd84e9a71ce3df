// What the tests stand on: stickyd with Node workers, and clients of it.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { io } from 'socket.io-client';

export const patience = 60_000; // for anything; it measures nothing

export const here = path => fileURLToPath(new URL(path, import.meta.url));
let built; // the directory of our own build

function stickyd() {
  if (process.env.STICKYD_BIN) return process.env.STICKYD_BIN;
  if (!built) {
    built = mkdtempSync(join(tmpdir(), 'stickyd-node-'));
    process.on('exit', () => rmSync(built, { recursive: true }));
    execFileSync('go', ['build', '-o', join(built, 'stickyd'), '.'], { cwd: here('../../..'), stdio: 'inherit' });
  }
  return join(built, 'stickyd');
}

// The Node that runs the tests, and newer ones.
export const nodes = {
  [`Node ${process.versions.node}`]: process.execPath,
  'Node 24': here(`node_modules/node-linux-${process.arch}/bin/node`),
};
export const allNodes = {
  ...nodes,
  'Node 22': here(`node_modules/node-22-${process.arch}/bin/node`),
  'Node 26': here(`node_modules/node-26-${process.arch}/bin/node`),
};

// What else runs Node's programs.
export const runtimes = {
  'Deno 2.9': [here(`node_modules/deno-${process.arch}/deno`), 'run', '-A'],
  'Bun 1.4': [here(`node_modules/bun-${process.arch}/bin/bun`)],
};
for (const [name, node] of [...Object.entries(allNodes), ...Object.entries(runtimes).map(([name, [path]]) => [name, path])]) assert.ok(existsSync(node), `npm did not install ${name}`);

const preload = ['--require', 'stickyd/preload'];

// The ways to use the package. In each a kept-alive connection may carry
// requests of any session.
export const ways = {
  'attach(io)': { SETUP: 'attach' },
  'attach(httpServer)': { SETUP: 'attach-http' },
  'attach(io) in an ES module': { SETUP: 'attach', worker: 'worker.mjs' },
  'the preload and @socket.io/sticky 1.0.4': { SETUP: 'sticky-1', options: preload },
  'the preload and @socket.io/sticky 2.0.1': { SETUP: '@socket.io/sticky', options: preload },
  'the preload and @socket.io/sticky in an ES module': { SETUP: '@socket.io/sticky', options: preload, worker: 'worker.mjs' },
  'the preload and a server that listens': { SETUP: 'listen', options: preload },
};

// start runs workers under stickyd and resolves when it listens and, unless
// ready is false, all workers are ready. With listen: null nobody says where it is to
// listen; run is what runs the worker here, and command what is run in its place.
// exact are all of its arguments, where it is run in the directory cwd.
export async function start({
  SETUP, worker = 'worker.cjs', options = [], node = process.execPath, workers = 3, flags = [], env = {}, ready = true,
  listen = '127.0.0.1:0', run = [node, ...options], command = [...run, here(worker)], cwd = here('.'),
  // A poll that a client has left behind is an open request, for 25 s.
  exact = [...listen === null ? [] : ['-l', listen], '-n', String(workers), '--log-format', 'json', '--drain-timeout', '2s', ...flags, '--', ...command],
}) {
  const child = spawn(stickyd(), exact, { stdio: ['ignore', 'pipe', 'pipe'], cwd, env: { ...process.env, SETUP, ...env } });
  const exited = once(child, 'exit');
  const server = { pid: child.pid, log: '', events: [] };
  let changed = () => {};
  const look = text => {
    server.log += text;
    server.events = server.log.split('\n').slice(0, -1).map(line => JSON.parse(line));
    changed();
  };
  child.stdout.setEncoding('utf8').on('data', look);
  child.stderr.setEncoding('utf8').on('data', look);
  exited.then(() => changed());

  // until resolves to what find returns of the log's events, when it is something.
  server.until = async find => {
    const late = AbortSignal.timeout(patience);
    for (;;) {
      const found = find(server.events);
      if (found) return found;
      assert.equal(child.exitCode, null, `stickyd has ended:\n${server.log}`);
      await new Promise((resolve, reject) => {
        changed = resolve;
        late.onabort = () => reject(new Error(`this never came; the log:\n${server.log}`));
      });
    }
  };
  server.readyWorkers = () => server.events.filter(({ msg }) => msg === 'worker ready');

  server.ask = (command, ...args) => execFileSync(stickyd(), [command, '--control', String(child.pid), ...args], { encoding: 'utf8', stdio: 'pipe' });
  server.sessions = () => JSON.parse(server.ask('status', '--json')).sessions;
  server.drain = () => child.kill('SIGTERM');
  server.memory = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`))[1]) << 10;

  // stop asks stickyd to end, insists if it does not, and checks how it ended.
  // It resolves to stickyd's last words.
  server.stop = async () => {
    const insist = setTimeout(() => child.kill('SIGKILL'), 50_000);
    child.kill('SIGTERM');
    const [code, signal] = await exited;
    clearTimeout(insist);
    assert.equal(code ?? signal, 0, server.log);
    assert.doesNotMatch(server.log, /panic|DATA RACE|another worker|session refused|cannot be used/);
    return server.events.find(({ msg }) => msg === 'stopped');
  };

  server.url = `http://${(await server.until(events => events.find(({ msg }) => msg === 'listening'))).addr}`;
  server.port = Number(new URL(server.url).port);
  if (ready) await server.until(() => server.readyWorkers().length === workers);
  return server;
}

// fails runs stickyd with a command that cannot be a worker, and resolves to what it
// prints when it ends.
export async function fails(command, env, listen = ['-l', '127.0.0.1:0']) {
  const child = spawn(stickyd(), [...listen, '-n', '2', '--', ...command], { stdio: ['ignore', 'pipe', 'pipe'], cwd: here('.'), env: { ...process.env, ...env } });
  const [[code], printed] = await Promise.all([once(child, 'close'), child.stderr.setEncoding('utf8').toArray()]);
  assert.equal(code, 1);
  return printed.join('');
}

// serve runs test with a server, and stops that.
export async function serve(options, test) {
  const server = await start(options);
  try {
    return await test(server);
  } finally {
    await server.stop();
  }
}

// app runs test with an application of apps.cjs, which nobody tells where to listen.
export async function app(APP, options, run) {
  const PORT = options.PORT ?? await freePort();
  const OTHER_PORT = await freePort();
  await serve({ worker: 'apps.cjs', workers: 2, listen: null, ...options, env: { APP, PORT, OTHER_PORT, ...options.env } },
    server => run({ server, port: PORT, other: OTHER_PORT, url: `http://localhost:${PORT}` }));
}

// freePort resolves to a port that nobody listens on, and that the kernel gives to
// nobody who asks for any: between the two a client would get it.
export async function freePort() {
  const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split('\t').map(Number);
  for (;;) {
    const server = net.createServer().listen(randomInt(Math.min(10_000, first / 2), first));
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    const { port } = server.address();
    await new Promise(resolve => server.close(resolve));
    return port;
  }
}

// request makes one HTTP request, by default on a connection of its own.
export async function request(url, { body, ...options } = {}) {
  const sent = http.request(url, { agent: false, ...options });
  sent.end(body);
  const [response] = await once(sent, 'response', { signal: AbortSignal.timeout(patience) });
  return { status: response.statusCode, headers: response.headers, body: (await response.setEncoding('utf8').toArray()).join('') };
}

export const polling = '/socket.io/?EIO=4&transport=polling';

// handshake starts a session and resolves to its id.
export async function handshake(server, options) {
  const { status, body } = await request(server.url + polling, options);
  assert.equal(status, 200, body);
  return JSON.parse(body.slice(1)).sid;
}

// whoami resolves to what the worker says that gets a request with an id.
export async function whoami(server, sid, options) {
  const { status, body } = await request(`${server.url}/whoami?sid=${sid}`, options);
  assert.equal(status, 200, body);
  return JSON.parse(body);
}

// sessionsApart resolves to two sessions of different workers, each with
// its worker's pid.
export async function sessionsApart(server) {
  const a = await handshake(server);
  const pid = (await whoami(server, a)).pid;
  for (;;) {
    const b = await handshake(server);
    const other = (await whoami(server, b)).pid;
    if (other !== pid) return [{ sid: a, pid }, { sid: b, pid: other }];
  }
}

// clients resolves to the pids of the workers in which that many clients were, each
// over polling and then a WebSocket.
export async function clients(url, n, { whoami = true } = {}) {
  const pids = new Set();
  await Promise.all(Array.from({ length: n }, async () => {
    const socket = io(url, { forceNew: true, reconnection: false, timeout: patience });
    try {
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('connect_error', reject));
      for (let i = 0; i < 3; i++) assert.equal(await socket.timeout(patience).emitWithAck('echo', i), i);
      if (socket.io.engine.transport.name !== 'websocket') await new Promise(resolve => socket.io.engine.once('upgrade', resolve));
      if (whoami) pids.add((await socket.timeout(patience).emitWithAck('whoami')).pid);
    } finally {
      socket.close();
    }
  }));
  return pids;
}
