/**
 * The sessions that this worker owns.
 */

'use strict';

const { gather, greet, send } = require('./channel');
const connections = require('./connections');
const { supervised } = require('./worker');

const owned = new Set();

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
  owned.add(id);
  const adopted = connections.of(socket)?.uncount() ?? 0;
  await send({ type: 'stickyd:bind', ids: [id], adopted });
}

/** Says that a session has ended. */
function unbind(id) {
  if (owned.delete(id)) gather({ unbound: id });
}

exports.bind = bind;
exports.unbind = unbind;
exports.owned = owned;
