// What the tests stand on: stickyd with Node workers, and clients of it.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { io } from 'socket.io-client';

export const patience = 60_000; // for anything; it measures nothing

const here = path => fileURLToPath(new URL(path, import.meta.url));
let built; // the directory of our own build

export function stickyd() {
  if (process.env.STICKYD_BIN) return process.env.STICKYD_BIN;
  if (!built) {
    built = mkdtempSync(join(tmpdir(), 'node-socketio-'));
    process.on('exit', () => rmSync(built, { recursive: true }));
    execFileSync('go', ['build', '-o', join(built, 'stickyd'), '.'], { cwd: here('../../..'), stdio: 'inherit' });
  }
  return join(built, 'stickyd');
}

export const libraries = { STICKY: '@socket.io/sticky', ADAPTER: '@socket.io/cluster-adapter' };

// start runs workers under stickyd and resolves when it listens, or, unless
// ready is false, when all workers are ready.
export async function start({ workers = 3, flags = [], env = libraries, command = ['node', here('worker.cjs')], ready = true } = {}) {
  const child = spawn(stickyd(),
    // A poll that a client has left behind is an open request, for 25 s.
    ['-l', '127.0.0.1:0', '-n', String(workers), '--log-format', 'json', '--drain-timeout', '2s', ...flags, '--', ...command],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  const exited = once(child, 'exit');
  const server = { log: '', events: [], url: undefined };
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

  // stop asks stickyd to end, insists if it does not, and checks how it ended.
  server.stop = async () => {
    const insist = setTimeout(() => child.kill('SIGKILL'), 50_000);
    child.kill('SIGTERM');
    const [code, signal] = await exited;
    clearTimeout(insist);
    assert.equal(code ?? signal, 0, server.log);
    assert.doesNotMatch(server.log, /panic|DATA RACE|another worker|session refused/);
  };

  server.url = `http://${(await server.until(events => events.find(({ msg }) => msg === 'listening'))).addr}`;
  if (ready) await server.until(() => server.readyWorkers().length === workers);
  return server;
}

// startPrimary runs the same workers under Node's own primary, and resolves when
// all are ready.
export async function startPrimary({ workers = 3, env = libraries } = {}) {
  const child = spawn(process.execPath, [here('primary.cjs')],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env, WORKERS: String(workers) } });
  const exited = once(child, 'exit');
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data', { signal: AbortSignal.timeout(patience) });
  return {
    url: line.trim(),
    stop: async () => {
      child.kill();
      await exited;
    },
  };
}

// Clients of one server, which are closed together.
export class Clients {
  open = new Set();
  constructor(server) { this.server = server; }

  // connect resolves to a client that is connected.
  async connect(options = {}) {
    const client = io(this.server.url, { forceNew: true, reconnectionDelay: 1, reconnectionDelayMax: 50, ...options });
    this.open.add(client);
    client.failures = [];
    client.on('connect_error', err => client.failures.push(err));
    client.connected || await once(client, 'connect', { signal: AbortSignal.timeout(patience) });
    return client;
  }

  connectMany(n, options) {
    return Promise.all(Array.from({ length: n }, () => this.connect(options)));
  }

  close() {
    for (const client of this.open) client.disconnect();
    this.open.clear();
  }
}

export const ask = (client, ...args) => client.timeout(patience).emitWithAck(...args);
export const pidOf = async client => (await ask(client, 'whoami')).pid;

// upgraded waits for a client's WebSocket, which replaces its polling.
export async function upgraded({ io: { engine } }) {
  if (engine.transport.name !== 'websocket') await once(engine, 'upgrade', { signal: AbortSignal.timeout(patience) });
}

// request makes one HTTP request on a connection of its own.
export async function request(url, { body, ...options } = {}) {
  const sent = http.request(url, { agent: false, ...options });
  sent.end(body);
  const [response] = await once(sent, 'response');
  return { status: response.statusCode, headers: response.headers, body: (await response.setEncoding('utf8').toArray()).join('') };
}
