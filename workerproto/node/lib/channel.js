/**
 * What goes to stickyd, through Node's own channel to the process that started
 * this one.
 */

'use strict';

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
function send(message, handle) {
  return new Promise(resolve => {
    const done = () => {
      waiting.delete(done);
      resolve();
    };
    waiting.add(done);
    if (process.connected) original(message, handle, undefined, done);
    else done();
  });
}

/** process.send, also when the preload has put another one in its place. */
const original = process.send?.bind(process);

process.once('disconnect', () => {
  for (const done of waiting) done();
});

const gathered = { closed: 0, unbound: [] };
let flushing = false;

/** Says that so many more connections have closed, and which sessions have ended: soon, together. */
function gather({ closed = 0, unbound }) {
  gathered.closed += closed;
  if (unbound !== undefined) gathered.unbound.push(unbound);
  if (flushing) return;
  flushing = true;
  setImmediate(flush);
}

function flush() {
  const { closed, unbound } = gathered;
  Object.assign(gathered, { closed: 0, unbound: [] });
  flushing = false;
  if (unbound.length > 0) send({ type: 'stickyd:unbind', ids: unbound });
  if (closed > 0) send({ type: 'stickyd:closed', n: closed });
}

let greeted = false;

/**
 * Says that this library is here: sessions are registered before their ids are
 * told, and the end of each connection is. Until then nothing of the latter
 * may be said.
 */
function greet() {
  if (greeted) return;
  greeted = true;
  send({ type: 'stickyd:hello', version: 1 });
}

exports.send = send;
exports.gather = gather;
exports.greet = greet;
exports.original = original;
exports.hasGreeted = () => greeted;
