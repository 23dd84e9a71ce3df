// The boxes of the workers: a slot each, and whoever sits in it now.

import { $, count, show, short, stamp, tint } from './dom.js';

const slots = new Map(); // number → slot

// onReplaced is called when a slot has another process than before, and nobody
// had said that the old one was gone.
let onReplaced = () => {};
export function whenReplaced(f) { onReplaced = f; }

// begin takes over the boxes that the page came with.
export function begin() {
  for (const box of document.querySelectorAll('.worker')) add(Number(box.dataset.slot), box);
}

function add(number, box) {
  const slot = { number, pid: 0, started: 0, total: 0, fallen: null, box };
  slots.set(number, slot);
  tint(box, number);
  return slot;
}

// at returns a slot. One that has not been heard of, because stickyd was
// started again with more workers, gets its box.
export function at(number) {
  const slot = slots.get(number);
  if (slot) return slot;
  const box = stamp('worker');
  show(box.querySelector('.slot'), number);
  $('workers').append(box);
  return add(number, box);
}

// meet notes who gave an answer.
export function meet(answer) {
  const slot = at(answer.worker);
  if (answer.started < slot.started) return; // said before it was replaced
  slot.total = answer.sessions;
  const before = slot.pid;
  if (answer.pid === before) {
    // Alive after all, unless it only lived on for the moment that a kill takes.
    const { fallen } = slot;
    if (fallen && !fallen.certain && answer.asked > fallen.since) raise(slot, answer);
    draw(slot);
    return;
  }
  slot.pid = answer.pid;
  slot.started = answer.started;
  if (slot.fallen) raise(slot, answer);
  else if (before) onReplaced(slot.number, before);
  draw(slot);
}

function raise(slot, answer) {
  const { resolve } = slot.fallen;
  slot.fallen = null;
  resolve(answer);
}

// fell says that the process pid in a slot is gone, certainly or by all
// appearances. It resolves to an answer from the slot: its pid is another one,
// or the same if the appearances were wrong.
export function fell(number, pid, certain) {
  const slot = at(number);
  if (slot.pid && slot.pid !== pid) return Promise.resolve(slot); // there is an heir already
  if (!slot.fallen) {
    slot.fallen = { certain, since: performance.now() };
    slot.fallen.up = new Promise(resolve => { slot.fallen.resolve = resolve; });
    draw(slot);
  }
  return slot.fallen.up;
}

// anyDown reports whether a slot waits for a new process.
export const anyDown = () => [...slots.values()].some(slot => slot.fallen);

// allMet reports whether the page knows who sits in each slot.
export const allMet = () => [...slots.values()].every(slot => slot.pid);

// tally shows how requests without a session were shared out, given the
// answers to them, and returns it in words.
export function tally(answers) {
  const all = [...slots.values()];
  const answeredBy = slot => answers.filter(a => a.worker === slot.number).length;
  for (const slot of all) {
    show(slot.box.querySelector('.asked'), `answered ${answeredBy(slot)} of ${answers.length}`);
  }
  return all.map(slot => `${answeredBy(slot)} by worker ${slot.number}`).join(', ');
}

// settle shows which of the page's sessions live where.
export function settle(sessions) {
  for (const slot of slots.values()) {
    const chips = slot.box.querySelector('.chips');
    const here = sessions.filter(s => s.worker === slot.number);
    chips.replaceChildren(...here.map(s => {
      const chip = document.createElement('li');
      chip.textContent = short(s.sid);
      return chip;
    }));
    chips.setAttribute('aria-label', `${count(here.length, 'session')} of this page`);
  }
}

function draw(slot) {
  const { box } = slot;
  box.classList.toggle('down', Boolean(slot.fallen));
  show(box.querySelector('.pid'), slot.fallen ? `pid ${slot.pid} is gone` : slot.pid ? `pid ${slot.pid}` : 'not met yet');
  show(box.querySelector('.total'), `${count(slot.total, 'session')} in all`);
}
