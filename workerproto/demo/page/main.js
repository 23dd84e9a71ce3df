// The page of stickyd demo. It opens four sessions, asks for each of them all
// the time, and tells what becomes of them.

import { ask, listen, traffic } from './http.js';
import { $, count, say, short, show, sleep } from './dom.js';
import * as sessions from './sessions.js';
import * as workers from './workers.js';
import { kill, mourn } from './deaths.js';

const atFirst = 4;        // sessions
const pollEvery = 600;    // ms: a session's end is noticed within a second
const whoEvery = 1000;    // ms between requests without a session,
const whoWhenDown = 100;  // while a worker is awaited
const storeKey = 'stickyd-demo-sessions';

function wire() {
  const { worker, pid } = document.body.dataset;
  workers.begin();
  say(`This page was served by worker ${worker} (pid ${pid}).`);
  show($('address'), location.host);
  workers.whenReplaced(mourn);
  sessions.on.kill = kill;
  sessions.on.missing = session => mourn(session.worker, session.pid);
  sessions.on.change = changed;
  $('new').addEventListener('click', openOne);
  $('burst').addEventListener('click', burst);
  listen(heard);
}

// changed follows every session that came or went.
function changed() {
  const live = sessions.live();
  workers.settle(live);
  show($('live'), live.length);
  show($('live-word'), live.length === 1 ? 'session' : 'sessions');
  $('new').disabled = sessions.all().length >= sessions.maxSessions;
  store(live.map(s => s.sid));
}

let silent = 0; // requests in a row that got no answer

// heard takes every answer; null is none.
function heard(answer) {
  if (answer) {
    if (silent >= 3) say('stickyd answers again.');
    silent = 0;
    workers.meet(answer);
  } else if (++silent === 3) {
    say('No answer: stickyd is gone, or has no worker just now. This page goes on asking.');
  }
  show($('door'), silent < 3 ? 'answers' : 'does not answer');
  $('stickyd').classList.toggle('down', silent >= 3);
  for (const name of Object.keys(traffic)) show($(name), traffic[name]);
}

let opening = 0;

async function openOne() {
  if (sessions.all().length + opening >= sessions.maxSessions) return;
  opening++;
  try {
    const s = await sessions.open();
    say(`Session ${short(s.sid)} lives in worker ${s.worker} (pid ${s.pid}).`);
  } catch (err) {
    sessions.complain(err);
  } finally {
    opening--;
  }
}

// burst sends requests that any worker may answer, as many at once as the
// browser likes.
async function burst() {
  const requests = Array.from({ length: 12 }, () => ask('GET', '/whoami'));
  const answers = (await Promise.allSettled(requests)).filter(a => a.status === 'fulfilled').map(a => a.value);
  if (answers.length > 0) say(`${count(answers.length, 'request')} without a session answered: ${workers.tally(answers)}.`);
}

// begin finds the sessions from before a reload and adds what is missing.
async function begin() {
  const answers = await Promise.allSettled(stored().map(sid => ask('GET', '/session', sid)));
  const found = answers.filter(a => a.status === 'fulfilled' && a.value.status === 200);
  for (const a of found) sessions.add(a.value);
  if (found.length > 0) say(`After the reload ${count(found.length, 'session')} of this page ${found.length === 1 ? 'was' : 'were'} found again, counters and all.`);
  const missing = Math.max(0, atFirst - found.length);
  const outcomes = await Promise.allSettled(Array.from({ length: missing }, sessions.open));
  for (const o of outcomes) if (o.status === 'rejected') sessions.complain(o.reason);
  const opened = outcomes.filter(o => o.status === 'fulfilled').map(o => o.value);
  if (opened.length > 0) say(`${count(opened.length, 'session')} opened: ${places(opened)}.`);
}

function places(opened) {
  const slots = [...new Set(opened.map(s => s.worker))].sort((a, b) => a - b);
  return slots.map(slot => `${opened.filter(s => s.worker === slot).length} in worker ${slot}`).join(', ');
}

// Storage may be forbidden; then a reload begins anew.
function store(sids) {
  try { sessionStorage.setItem(storeKey, sids.join(' ')); } catch { /* as said */ }
}

function stored() {
  try {
    return (sessionStorage.getItem(storeKey) ?? '').split(' ').filter(Boolean).slice(0, sessions.maxSessions);
  } catch {
    return [];
  }
}

async function pollSessions() {
  for (;;) {
    for (const s of sessions.all()) {
      s.poll();
      s.draw();
    }
    await sleep(pollEvery);
  }
}

// lookAround asks without a session, which any worker may answer: so the page
// meets workers that have none of its sessions, above all new ones.
async function lookAround() {
  for (let round = 0; ; round++) {
    try {
      await ask('GET', '/whoami');
    } catch {
      // heard has taken note
    }
    const hurry = workers.anyDown() || !workers.allMet() && round < 20;
    await sleep(hurry && silent === 0 ? whoWhenDown : whoEvery);
  }
}

wire();
await begin();
pollSessions();
lookAround();
