// The page's sessions: a card each.

import { ask } from './http.js';
import { $, age, pulse, say, short, show, sleep, stamp, tint } from './dom.js';
import * as workers from './workers.js';

export const maxSessions = 12;

const sessions = []; // in the order of their cards

// What the page does with them; main.js fills it in.
export const on = {
  kill: () => {},    // (session) its worker shall be killed
  missing: () => {}, // (session) it is not where it was
  change: () => {},  // some session came or went
};

export const all = () => sessions;
export const live = () => sessions.filter(s => s.alive);

// open begins a session on the server and shows it.
export async function open() {
  const answer = await ask('POST', '/session');
  if (answer.status !== 200) throw new Error(answer.error);
  return add(answer);
}

// add shows a session that the server has.
export function add(answer) {
  const session = new Session();
  session.become(answer);
  sessions.push(session);
  $('cards').append(session.card);
  on.change();
  return session;
}

class Session {
  constructor() {
    this.card = stamp('card');
    this.part = name => this.card.querySelector(name);
    this.polling = false;
    const button = (name, work) => this.part(name).addEventListener('click', () => this.once(work));
    button('.kill', () => on.kill(this));
    button('.afresh', () => this.startAfresh());
    // Not once: who clicks fast means every click.
    this.part('.add').addEventListener('click', () => this.increment().catch(complain));
  }

  // once runs work unless it, or other work on this session, runs already.
  async once(work) {
    if (this.busy) return;
    this.busy = true;
    try { await work(); } catch (err) { complain(err); } finally { this.busy = false; }
  }

  // become makes this the session that an answer is about.
  become(answer) {
    this.sid = answer.sid;
    this.alive = true;
    this.worker = answer.worker;
    this.pid = answer.pid;
    this.count = answer.count;
    this.opened = performance.now() - answer.age;
    tint(this.card, this.worker);
    this.card.classList.remove('gone');
    for (const id of this.card.querySelectorAll('.id')) show(id, short(this.sid));
    show(this.part('.where'), `worker\u00a0${this.worker}, pid\u00a0${this.pid}`);
    show(this.part('.count'), this.count);
    this.draw();
  }

  // take applies an answer to a request about the session sid.
  take(answer, sid) {
    if (sid !== this.sid || !this.alive) return; // it is another one meanwhile
    if (answer.status === 404) {
      this.lose();
      return;
    }
    if (answer.sid !== sid) throw new Error(answer.error);
    // Answers may overtake each other; counters only grow.
    this.count = Math.max(this.count, answer.count);
    show(this.part('.count'), this.count);
  }

  async look() {
    const { sid } = this;
    this.take(await ask('GET', '/session', sid), sid);
  }

  async increment() {
    const { sid } = this;
    const answer = await ask('POST', '/increment', sid);
    this.take(answer, sid);
    if (!this.alive) return;
    pulse(this.part('.count'));
    pulse(workers.at(answer.worker).box);
  }

  // poll looks whether the session is still there, once at a time.
  async poll() {
    if (this.polling || !this.alive) return;
    this.polling = true;
    try {
      await this.look();
    } catch {
      // No answer says nothing about the session; the next poll may.
    } finally {
      this.polling = false;
    }
  }

  // untilKnown asks until it is clear whether the session died with its worker.
  // certain says that the worker did die, or will in a moment.
  async untilKnown(certain) {
    for (let tries = 0; this.alive && tries < 100; tries++) {
      try {
        await this.look();
        if (!certain) return;
      } catch {
        // Perhaps the request died with the worker. Ask again.
      }
      if (this.alive) await sleep(20);
    }
  }

  // lose shows that the session is gone.
  lose() {
    const focused = this.part('.alive').contains(document.activeElement);
    this.alive = false;
    this.explain(`The counter was in the memory of pid ${this.pid}.`);
    this.card.classList.add('gone');
    if (focused) this.part('.afresh').focus();
    on.change();
    on.missing(this);
  }

  explain(why) { show(this.part('.why'), why); }

  async startAfresh() {
    const old = this.sid;
    const answer = await ask('POST', '/session');
    if (answer.status !== 200) throw new Error(answer.error);
    const focused = this.part('.lost').contains(document.activeElement);
    this.become(answer);
    if (focused) this.part('.add').focus();
    say(`In place of ${short(old)} you have session ${short(this.sid)} in worker ${this.worker} (pid ${this.pid}); it counts from 0.`);
    on.change();
  }

  draw() {
    show(this.part('.age'), this.alive ? `open for ${age(performance.now() - this.opened)}` : '');
  }
}

export function complain(err) { say(`That did not work: ${err.message}.`); }
