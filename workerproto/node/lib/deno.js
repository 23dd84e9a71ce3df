/**
 * What Deno needs of the preload beside what Node does.
 */

'use strict';

const { tellOf } = require('./channel');
const { runtime } = require('./worker');

/**
 * Deno runs what is to be loaded first until nothing is left to wait for, and
 * only then the application: the channel must not be waited for until that has
 * been run.
 */
function install() {
  tellOf(globalThis.Deno, 'serve', 'Deno.serve');
  process.channel?.unref?.();
  process.once('beforeExit', () => process.channel?.ref?.());
}

/**
 * setupWorker republishes the first bytes of a connection, of which there are
 * none here: they are still in the socket. Deno's HTTP server fails on no bytes.
 */
function skipNothing(socket) {
  socket.emit = function (event, data) {
    if (event !== 'data') return Object.getPrototypeOf(this).emit.apply(this, arguments);
    delete this.emit;
    return data.length === 0 || this.emit(event, data);
  };
}

/** Deno closes the connections of a server that does not listen after each response, so clients are to know. */
const closes = server => runtime === 'deno' && !server.listening;

exports.install = install;
exports.closes = closes;
exports.skipNothing = skipNothing;
