// What the browser tests stand on: a stickyd that runs the demo, and Chromium.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const module = fileURLToPath(new URL('../..', import.meta.url));

// stickydBinary returns the program under test: $STICKYD_BIN, or one that is
// built now. remove cleans up.
export function stickydBinary() {
  if (process.env.STICKYD_BIN) return { path: process.env.STICKYD_BIN, remove() {} };
  const dir = mkdtempSync(join(tmpdir(), 'stickyd-bin-'));
  const path = join(dir, 'stickyd');
  execFileSync('go', ['build', '-o', path, '.'], { cwd: module, stdio: 'inherit' });
  return { path, remove: () => rmSync(dir, { recursive: true }) };
}

// startDemo runs the demo and resolves when it has said where it is.
export async function startDemo(binary, workers) {
  const child = spawn(binary, ['demo', '-l', '127.0.0.1:0', '-n', String(workers)], { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'exit');
  let out = '', err = '';
  child.stderr.setEncoding('utf8').on('data', text => { err += text; });
  const url = new Promise((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', text => {
      out += text;
      const found = /http:\/\/[^\s;]+(?=[\s;])/.exec(out);
      if (found) resolve(found[0]);
    });
    exited.then(([code, signal]) => reject(new Error(`stickyd demo ended (${code ?? signal}):\n${out}${err}`)), reject);
  });
  return {
    url: await url,
    log: () => out + err,

    // stop asks stickyd to end, insists if it does not, and returns the exit status.
    async stop() {
      const insist = setTimeout(() => child.kill('SIGKILL'), 45_000);
      child.kill('SIGTERM');
      const [code, signal] = await exited;
      clearTimeout(insist);
      return code ?? signal;
    },
  };
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM_BIN ?? '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}
