// What the tests stand on: stickyd with three workers of the example, or the
// example alone.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = path => fileURLToPath(new URL(path, import.meta.url));

function build(dir, name, source) {
  const path = join(dir, name);
  execFileSync('go', ['build', '-o', path, '.'], { cwd: here(source), stdio: 'inherit' });
  return path;
}

// startServer runs the example under $STICKYD_BIN (otherwise stickyd is built,
// too) and resolves when all workers are ready.
export async function startServer(workers) {
  const dir = mkdtempSync(join(tmpdir(), 'go-socketio-'));
  const stickyd = process.env.STICKYD_BIN ?? build(dir, 'stickyd', '../../..');
  const example = build(dir, 'go-socketio', '..');
  const child = spawn(stickyd, ['-l', '127.0.0.1:0', '-n', String(workers), '--log-format', 'json', '--', example],
    { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let log = '', address;
  const ready = new Set();
  let readyPids = [], waiting = () => {};
  const started = new Promise((resolve, reject) => {
    const look = text => {
      log += text;
      readyPids = [];
      for (const line of log.split('\n').slice(0, -1)) {
        const event = JSON.parse(line);
        if (event.msg === 'listening') address = event.addr;
        if (event.msg === 'worker ready') ready.add(event.slot) && readyPids.push(event.pid);
      }
      if (address && ready.size === workers) resolve();
      waiting();
    };
    child.stdout.setEncoding('utf8').on('data', look);
    child.stderr.setEncoding('utf8').on('data', look);
    exited.then(([code, signal]) => reject(new Error(`stickyd ended (${code ?? signal}):\n${log}`)), reject);
  });
  await started;
  return {
    url: `http://${address}`,
    log: () => log,

    // replace kills a worker and resolves to the pid of the next, once it is ready.
    async replace(pid) {
      const before = readyPids.length;
      const replaced = new Promise(resolve => {
        waiting = () => readyPids.length > before && resolve(readyPids[before]);
      });
      process.kill(pid, 'SIGKILL');
      return replaced;
    },

    // stop asks stickyd to end, insists if it does not, and returns the exit status.
    async stop() {
      const insist = setTimeout(() => child.kill('SIGKILL'), 45_000);
      child.kill('SIGTERM');
      const [code, signal] = await exited;
      clearTimeout(insist);
      rmSync(dir, { recursive: true });
      return code ?? signal;
    },
  };
}

// startAlone runs the example without stickyd and resolves when it listens.
export async function startAlone() {
  const dir = mkdtempSync(join(tmpdir(), 'go-socketio-'));
  const child = spawn(build(dir, 'go-socketio', '..'), ['-addr', '127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const exited = once(child, 'exit');
  let log = '';
  const address = await new Promise((resolve, reject) => {
    child.stderr.setEncoding('utf8').on('data', text => {
      log += text;
      const found = /listening on (\S+)\n/.exec(log);
      if (found) resolve(found[1]);
    });
    exited.then(([code, signal]) => reject(new Error(`the example ended (${code ?? signal}):\n${log}`)), reject);
  });
  return {
    url: `http://${address}`,
    async stop() {
      child.kill('SIGKILL');
      await exited;
      rmSync(dir, { recursive: true });
    },
  };
}
