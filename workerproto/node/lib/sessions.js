/**
 * The sessions that this worker owns, by id. An id is bytes, each written as the
 * character of that number, since it is compared with what stands in a request:
 * Node reads headers so, and stickyd bytes.
 */

'use strict';

const { flush, gather, greet, hear, send } = require('./channel');
const connections = require('./connections');
const { settings, supervised } = require('./worker');

/** By id, { id, here }: here turns false when the session leaves, so that whoever keeps the object need not look it up. */
const owned = new Map();

/** Whether there is no session at any worker, as stickyd has said: then no request is another's. */
let none = false;

/** Whether ids are sent in headers, which have a byte for a character, where they can be. */
const inHeaders = /^(header|cookie):/.test(settings.session[0]);

/** The bytes of an id as an application has it, which is text: nearly always ASCII. */
function bytesOf(id) {
  if (!/[^\0-\x7f]/.test(id) || (inHeaders && !/[^\0-\xff]/.test(id))) return id;
  return Buffer.from(id).latin1Slice();
}

/**
 * Registers a session with stickyd. When the promise has resolved, any request
 * with the id comes here: tell nobody the id before.
 *
 * @param {string} id
 * @param {import('node:net').Socket} [socket] the connection that it began on
 */
async function bind(id, socket) {
  check(id);
  if (!supervised || id === '') return;
  greet();
  await own(bytesOf(id), socket);
}

/** Says that a session has ended. */
function unbind(id) {
  check(id);
  disown(bytesOf(id));
}

function check(id) {
  if (typeof id !== 'string') throw new TypeError(`a session id must be a string, not ${typeof id}`);
}

/** The same for an id in bytes. */
function own(id, socket) {
  if (!owned.has(id)) owned.set(id, { id, here: true });
  none = false;
  const adopted = connections.of(socket)?.uncount() ?? 0;
  flush(); // it may have ended a moment ago
  const sent = send('bind', { id, adopted });
  return isSettled ? sent : sent.then(() => settled);
}

/** Resolves when no worker thinks any more that there are no sessions. */
const settled = supervised && new Promise(resolve => {
  hear('settled', resolve);
  process.once('disconnect', resolve);
}).then(() => { isSettled = true; });

let isSettled = false;

function disown(id) {
  if (lose(id)) gather({ unbound: id });
}

function lose(id) {
  const session = owned.get(id);
  if (session) session.here = false;
  return owned.delete(id);
}

/** Listens to what stickyd says of sessions. */
function listen() {
  hear('refused', ({ ids }) => ids.forEach(lose)); // another worker's
  hear('sessions', () => {
    none = false;
    send('heard');
  });
}

exports.bind = bind;
exports.bytesOf = bytesOf;
exports.unbind = unbind;
exports.own = own;
exports.disown = disown;
exports.owned = owned;
exports.listen = listen;
exports.thereAreNone = () => none;
exports.noteNone = () => { none = true; };
