// The demo's page in a real browser, against the real program:
//
//	npm ci && node --test
//
// $STICKYD_BIN is the program (otherwise it is built), $CHROMIUM_BIN the
// browser (otherwise /usr/bin/chromium). Screenshots go to a new directory.

import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startBrowser, startDemo, stickydBinary } from './harness.mjs';

const workers = 3;
const patience = 30_000; // for anything; it measures nothing

let binary, demo, browser, page;
const errors = []; // of the page, in the browser's console
const pictures = mkdtempSync(join(tmpdir(), 'stickyd-demo-'));

before(async () => {
  binary = stickydBinary();
  demo = await startDemo(binary.path, workers);
  browser = await startBrowser();
  const context = await browser.newContext({ viewport: { width: 1280, height: 1200 }, colorScheme: 'light' });
  page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.on('pageerror', err => errors.push(String(err)));
  page.on('console', message => {
    // That a session is unknown is an answer like others; Chromium reports it
    // as an error all the same.
    const unknown = /status of 404/.test(message.text()) && /\/(session|increment)\?sid=/.test(message.location().url);
    if (message.type() === 'error' && !unknown) errors.push(`${message.text()} (${message.location().url})`);
  });
  await page.addInitScript(() => {
    window.jumps = []; // what moved on the page, except in the log, whose lines go down
    new PerformanceObserver(list => {
      for (const { value, sources } of list.getEntries()) {
        const moved = sources.map(s => s.node).filter(n => n && !n.parentElement?.closest('#log'));
        if (moved.length > 0) window.jumps.push({ value, moved: moved.map(n => n.id || n.className || n.nodeName).join(' ') });
      }
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await page.goto(demo.url);
}, { timeout: 180_000 });

after(async () => {
  console.log(`screenshots: ${pictures}`);
  await browser?.close();
  const status = await demo?.stop();
  binary?.remove();
  if (!demo) return; // before has failed
  assert.equal(status, 0, demo.log());
  assert.doesNotMatch(demo.log(), /panic|DATA RACE/);
}, { timeout: 60_000 });

// cards returns what the page shows of its sessions.
function cards() {
  return page.$$eval('.card', all => all.map(card => {
    const text = name => card.querySelector(name).textContent;
    const [, worker, pid] = /worker\s(\d+), pid\s(\d+)/.exec(text('.where'));
    return { id: text('h3 .id'), worker: Number(worker), pid: Number(pid), count: Number(text('.count')), gone: card.classList.contains('gone') };
  }));
}

const card = i => page.locator('.card').nth(i);

// until waits for the page to show that condition(arg) holds.
const until = (condition, arg) => page.waitForFunction(condition, arg, { timeout: patience });

// logLine waits for a line of the page's log.
async function logLine(pattern) {
  const line = page.locator('.log li').filter({ hasText: pattern }).first();
  await line.waitFor();
  return line.textContent();
}

const picture = (name, options) => page.screenshot({ path: join(pictures, name), ...options });

// workerPid returns the pid that the page shows for a slot.
async function workerPid(slot) {
  const text = await page.locator('.worker').nth(slot - 1).locator('.pid').textContent();
  return Number(/^pid (\d+)$/.exec(text)?.[1]);
}

async function countUp(i, times) {
  const { count } = (await cards())[i];
  for (let n = 0; n < times; n++) await card(i).locator('.add').click();
  await until(([i, want]) => document.querySelectorAll('.card .count')[i].textContent === String(want), [i, count + times]);
}

test('the page opens with four sessions, spread over all workers', async () => {
  await until(() => document.querySelectorAll('.card').length === 4);
  const seen = await cards();
  assert.equal(new Set(seen.map(c => c.id)).size, 4, 'ids');
  assert.deepEqual([...new Set(seen.map(c => c.worker))].sort(), [1, 2, 3]);
  assert.equal(await page.locator('.worker').count(), workers);
  for (const c of seen) assert.equal(await workerPid(c.worker), c.pid);
  await logLine(/was served by worker [123] \(pid \d+\)/);
  await logLine(/4 sessions opened: \d in worker 1, \d in worker 2, \d in worker 3\./);
  assert.deepEqual(seen.map(c => c.count), [0, 0, 0, 0]);
});

test('each session counts by itself and stays in its worker', async () => {
  const start = await cards();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 4; i++) await countUp(i, i + 1);
  }
  assert.deepEqual(await cards(), start.map((c, i) => ({ ...c, count: 3 * (i + 1) })));
  await picture('1-desktop-light.png');
});

test('the sessions share connections, which move between workers', async () => {
  const number = id => page.locator(id).textContent().then(Number);
  await until(() => Number(document.getElementById('moves').textContent) >= 5);
  const [requests, connections] = [await number('#requests'), await number('#connections')];
  // Chromium opens at most six to one server; a few may have been closed.
  assert.ok(connections < requests / 2, `${requests} requests on ${connections} connections`);
});

test('a killed worker takes its own sessions along, and only those', async () => {
  const start = await cards();
  const crowded = start.find((c, i) => start.findIndex(d => d.pid === c.pid) !== i); // 2 live there
  const doomed = start.indexOf(crowded);
  await card(doomed).locator('.kill').click();
  const line = await logLine(/was killed/);
  const heir = Number(/Pid (\d+) took its place/.exec(line)?.[1]);
  assert.match(line, new RegExp(`Worker ${crowded.worker} \\(pid ${crowded.pid}\\) was killed: 2 sessions of this page lived there and are gone\\. ` +
    `Pid ${heir} took its place after [\\d.]+ m?s\\. The other 2 sessions saw nothing\\.`));
  assert.notEqual(heir, crowded.pid);
  assert.equal(await workerPid(crowded.worker), heir);
  assert.deepEqual(await cards(), start.map(c => ({ ...c, gone: c.pid === crowded.pid })));
  await card(doomed).getByText(`Its worker (pid ${crowded.pid}) died, and the counter with it. Pid ${heir} is up in its place. Other sessions did not notice.`).waitFor();
  // Who worked with the keyboard goes on from there.
  assert.ok(await card(doomed).locator('.afresh').evaluate(b => b === document.activeElement), 'the focus is elsewhere');
  await picture('2-desktop-light-killed.png');
});

test('survivors go on, and a lost session starts afresh', async () => {
  const start = await cards();
  const lost = start.findIndex(c => c.gone), survivor = start.findIndex(c => !c.gone);
  await countUp(survivor, 2);
  await card(lost).locator('.afresh').click();
  await until(i => !document.querySelectorAll('.card')[i].classList.contains('gone'), lost);
  const fresh = (await cards())[lost];
  assert.notEqual(fresh.id, start[lost].id);
  assert.equal(fresh.count, 0);
  assert.equal(await workerPid(fresh.worker), fresh.pid);
  await countUp(lost, 3);
  await logLine(/In place of .* you have session .*; it counts from 0/);
  const end = await cards();
  assert.equal(end[survivor].count, start[survivor].count + 2);
  assert.equal(end[lost].count, 3);
});

test('nothing jumps about', async () => {
  const jumps = await page.evaluate(() => window.jumps);
  const sum = jumps.reduce((sum, { value }) => sum + value, 0);
  assert.ok(sum < 0.005, JSON.stringify(jumps)); // a word in the middle of a box may move by a letter
});

test('a reload finds the sessions again', async () => {
  const before = (await cards()).filter(c => !c.gone);
  await page.reload();
  await logLine(/After the reload 3 sessions of this page were found again/);
  await until(() => document.querySelectorAll('.card').length === 4);
  assert.deepEqual((await cards()).slice(0, 3), before);
});

test('the page notices by itself that a worker died', async () => {
  const start = await cards();
  const { worker, pid } = start[0];
  process.kill(pid, 'SIGKILL');
  await logLine(new RegExp(`Worker ${worker} \\(pid ${pid}\\) died: .* (is|are) gone\\. Pid \\d+ took its place\\.|Pid \\d+ took the place of ${pid} as worker`));
  assert.deepEqual(await cards(), start.map(c => ({ ...c, gone: c.pid === pid })));
});

test('requests without a session go to any worker', async () => {
  await page.getByRole('button', { name: 'Send 12 without a session' }).click();
  const line = await logLine(/12 requests without a session answered/);
  const shares = [...line.matchAll(/(\d+) by worker/g)].map(m => Number(m[1]));
  assert.equal(shares.length, workers, line);
  assert.equal(shares.reduce((a, b) => a + b), 12, line);
  assert.ok(Math.max(...shares) < 12, line);
});

test('it looks right in the dark and on a phone', async () => {
  await page.evaluate(() => scrollTo(0, 0));
  await page.getByRole('button', { name: 'New session' }).click();
  await until(() => document.querySelectorAll('.card').length === 5);
  await page.emulateMedia({ colorScheme: 'dark' });
  await picture('3-desktop-dark.png', { fullPage: true });
  await page.setViewportSize({ width: 390, height: 844 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  await picture('4-phone-dark.png', { fullPage: true });
  await page.emulateMedia({ colorScheme: 'light' });
  await picture('5-phone-light.png', { fullPage: true });
  assert.ok(width <= 390, `the page is ${width} wide`);
});

test('the browser found nothing wrong', () => {
  assert.deepEqual(errors, []);
});
