// What the page says when a worker dies: it finds out before it speaks.

import { ask } from './http.js';
import { count, duration, say, short, sleep } from './dom.js';
import * as sessions from './sessions.js';
import * as workers from './workers.js';

// Later than this the news of a replacement gets a line of its own.
const soon = 2000;

const mourned = new Set(); // pids, so that each gets one obituary

// announced has the pids that the page asked to be killed, while the answer is
// on its way: the news of a death may overtake it.
const announced = new Map(); // pid → promise of when it was killed

// kill asks the worker of a session to kill itself.
export async function kill(session) {
  const { sid, pid } = session;
  const asked = ask('POST', '/kill', sid);
  const when = asked.then(answer => answer.killed_at ?? 0, () => 0);
  if (!announced.has(pid)) announced.set(pid, when);
  try {
    const answer = await asked;
    if (answer.status === 202) mourn(answer.worker, pid);
    else session.take(answer, sid);
  } finally {
    if (announced.get(pid) === when) announced.delete(pid);
  }
}

// mourn finds out who died with the process pid, who took its place, and how
// the others are, and says so.
export async function mourn(slot, pid) {
  if (mourned.has(pid)) return;
  mourned.add(pid);
  const killedAt = await announced.get(pid) ?? 0;
  if (!await inquire(slot, pid, killedAt)) mourned.delete(pid);
  if (mourned.size > 100) mourned.delete(mourned.values().next().value);
}

// inquire reports whether the process is dead. killedAt is its own word, in ms
// since 1970, 0 if there is none: then it may be alive after all.
async function inquire(slot, pid, killedAt) {
  const up = workers.fell(slot, pid, killedAt > 0);
  const residents = sessions.all().filter(s => s.pid === pid);
  await Promise.all(residents.map(s => s.untilKnown(killedAt > 0)));
  const gone = residents.filter(s => !s.alive);
  const heir = await Promise.race([up, sleep(soon)]);
  if (heir?.pid === pid) {
    gone.forEach(ended);
    return false;
  }
  const others = sessions.live();
  const fine = await unharmed(others);
  const quiet = others.length > 0 && fine === others.length;
  explain(gone, pid, heir, quiet);
  say(obituary({ slot, pid, killedAt, heir, gone: gone.length, others: others.length, fine }));
  if (heir) return true;
  const late = await up;
  if (late.pid === pid) {
    say(`Worker ${slot} (pid ${pid}) answers after all.`);
    gone.forEach(ended);
    return false;
  }
  explain(gone, pid, late, quiet);
  say(`Pid ${late.pid} took the place of ${pid} as worker ${slot}${after(late, killedAt)}.`);
  return true;
}

// unharmed asks each session and returns how many are where they were.
async function unharmed(others) {
  await Promise.allSettled(others.map(s => s.look()));
  return others.filter(s => s.alive).length;
}

// ended speaks of a session that is gone although its worker lives.
function ended(session) {
  session.explain('It has ended; its worker lives.');
  say(`Session ${short(session.sid)} has ended: worker ${session.worker} (pid ${session.pid}) forgot it, as it does when nobody asks for ten minutes.`);
}

function explain(gone, pid, heir, quiet) {
  let why = `Its worker (pid ${pid}) died, and the counter with it.`;
  if (heir) why += ` Pid ${heir.pid} is up in its place.`;
  if (quiet) why += ' Other sessions did not notice.';
  for (const s of gone) {
    if (!s.alive && s.pid === pid) s.explain(why); // else started afresh already
  }
}

// obituary is the story in one line.
function obituary({ slot, pid, killedAt, heir, gone, others, fine }) {
  const parts = [`Worker ${slot} (pid ${pid}) ${killedAt ? 'was killed' : 'died'}: ` + losses(gone)];
  if (heir) parts.push(`Pid ${heir.pid} took its place${after(heir, killedAt)}.`);
  else parts.push('Its replacement is not up yet: stickyd takes its time with a worker that keeps dying.');
  if (others > 0) parts.push(survivors(others, fine));
  return parts.join(' ');
}

function losses(gone) {
  if (gone === 0) return 'no session of this page lived there.';
  return `${count(gone, 'session')} of this page lived there and ${gone === 1 ? 'is' : 'are'} gone.`;
}

function survivors(others, fine) {
  if (fine < others) return `Of the others, ${fine} of ${others} went on as before.`;
  return others === 1 ? 'The other session saw nothing.' : `The other ${others} sessions saw nothing.`;
}

const after = (heir, killedAt) => killedAt ? ` after ${duration(heir.started - killedAt)}` : '';
