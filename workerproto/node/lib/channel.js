/**
 * What goes to stickyd, and what comes from it, through Node's own channel to
 * the process that started this one.
 *
 * Messages between the two have a member cmd that begins with NODE_: the
 * application hears none of them.
 */

'use strict';

const { runtime } = require('./worker');

const cmd = 'NODE_STICKYD';

/** Calls of those who wait for a message to be written. */
const waiting = new Set();

/**
 * Sends a message, perhaps with a native handle, and resolves when the kernel
 * has it, or when that can't be any more.
 *
 * A message may wait in this process: behind one that carries a handle, until
 * stickyd has acknowledged that, or for room in the socket. Only the callback
 * says that it is out. What waits when the channel closes is never called back.
 */
function send(act, members, handle) {
  return new Promise(resolve => {
    const done = () => {
      waiting.delete(done);
      resolve();
    };
    waiting.add(done);
    if (process.connected) original({ cmd, act, ...members }, handle, undefined, done);
    else done();
  });
}

/** process.send, also when the preload has put another one in its place. */
const original = process.send?.bind(process);

/** Calls `listener(message, handle)` for messages of that act, and none of an application's. */
function hear(act, listener) {
  listen();
  listeners.set(act, listener);
}

/** Calls `listener(message, handle)` for what Node itself hears, before it does. */
function overhear(listener) {
  listen();
  overhearing.push(listener);
}

const listeners = new Map();
const overhearing = [];

let listening = false;

/** Listens once, ahead of everybody: each connection comes with a message, and each listener takes its time. */
function listen() {
  if (listening) return;
  listening = true;
  process.prependListener('internalMessage', dispatch);
}

function dispatch(message, handle) {
  if (message?.cmd === cmd) return listeners.get(message.act)?.(message, handle);
  for (const listener of overhearing) listener(message, handle);
}

process.once('disconnect', () => {
  for (const done of waiting) done();
});

const gathered = { closed: 0, unbound: [] };
let flushing = false;

/** Says that so many more connections have closed, and which sessions have ended: soon, together, or with flush. */
function gather({ closed = 0, unbound }) {
  gathered.closed += closed;
  if (unbound !== undefined) gathered.unbound.push(unbound);
  if (flushing) return;
  flushing = true;
  setImmediate(flush);
}

function flush() {
  if (!flushing) return;
  const { closed, unbound } = gathered;
  Object.assign(gathered, { closed: 0, unbound: [] });
  flushing = false;
  if (unbound.length > 0) send('unbind', { ids: unbound });
  if (closed > 0) send('closed', { n: closed });
}

let greeted = false;

/**
 * Says that this library is here. hold: this worker is ready only when it says so.
 * late: a client may know of its session before stickyd does.
 */
function greet({ hold = false, late = false } = {}) {
  if (!greeted) send('hello', { version: 1, pid: process.pid, runtime, hold, late });
  else if (hold) send('hold');
  greeted = true;
}

/** Has stickyd told when the application calls what serves by itself, past stickyd: `object[method]`. */
function tellOf(object, method, name) {
  const original = object?.[method];
  if (typeof original !== 'function') return;
  object[method] = function (...args) {
    send('alone', { name });
    return original.apply(this, args);
  };
}

exports.send = send;
exports.tellOf = tellOf;
exports.hear = hear;
exports.overhear = overhear;
exports.gather = gather;
exports.flush = flush;
exports.greet = greet;
exports.original = original;
