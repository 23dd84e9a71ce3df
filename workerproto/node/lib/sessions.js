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

/** The bytes of an id as an application has it, which is text. */
function bytesOf(id) {
  return inHeaders && !/[^\0-\xff]/.test(id) ? id : Buffer.from(id).latin1Slice();
}

/**
 * Registers a session with stickyd. When the promise has resolved, any request
 * with the id comes here: tell nobody the id before.
 *
 * @param {string} id
 * @param {import('node:net').Socket} [socket] the connection that it began on
 */
async function bind(id, socket) {
  if (!supervised || id === '') return;
  greet();
  await own(bytesOf(id), socket);
}

/** The same for an id in bytes. */
async function own(id, socket) {
  if (!owned.has(id)) owned.set(id, { id, here: true });
  none = false;
  const adopted = connections.of(socket)?.uncount() ?? 0;
  flush(); // it may have ended a moment ago
  await send('bind', { ids: [id], adopted });
  if (process.connected) await settled;
}

/** Resolves when no worker thinks any more that there are no sessions. */
const settled = supervised && new Promise(resolve => {
  hear('settled', resolve);
  process.once('disconnect', resolve);
});

/** Says that a session has ended. */
function unbind(id) {
  disown(bytesOf(id));
}

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
exports.unbind = unbind;
exports.own = own;
exports.disown = disown;
exports.owned = owned;
exports.listen = listen;
exports.thereAreNone = () => none;
exports.noteNone = () => { none = true; };
