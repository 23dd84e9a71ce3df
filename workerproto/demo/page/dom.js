// Small things that every part of the page needs.

export const $ = id => document.getElementById(id);

// show sets a text, and touches the document only if it is another one.
export function show(element, text) {
  text = String(text);
  if (element.textContent !== text) element.textContent = text;
}

export function stamp(templateId) {
  return $(templateId).content.firstElementChild.cloneNode(true);
}

export const count = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

export const short = sid => sid.slice(0, 5) + '…';

export const sleep = ms => new Promise(resolve => setTimeout(resolve, ms));

export function duration(ms) {
  if (ms < 1000) return `${Math.max(1, Math.round(ms))} ms`;
  if (ms < 10000) return `${(ms / 1000).toFixed(1)} s`;
  return age(ms);
}

export function age(ms) {
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
}

// tint gives an element its worker's colour; where it is, there is always the
// worker's number, too.
export function tint(element, slot) {
  const hues = [255, 45, 150, 320, 195, 95];
  const hue = slot >= 1 && slot <= hues.length ? hues[slot - 1] : (slot * 137.5) % 360;
  element.style.setProperty('--hue', String(hue));
}

// pulse lets an element light up briefly.
export function pulse(element) {
  element.getAnimations().forEach(a => a.cancel());
  if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
  element.animate([{ backgroundColor: 'var(--glow)' }, {}], { duration: 600, easing: 'ease-out' });
}

const kept = 60;

// say adds a line to the log, the newest first.
export function say(text) {
  const line = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toTimeString().slice(0, 8);
  line.append(time, ' ', text);
  const log = $('log');
  log.prepend(line);
  while (log.children.length > kept) log.lastElementChild.remove();
}
