/**
 * Gives an application that knows nothing of this package what attach gives:
 *
 *     stickyd -- node --require stickyd/preload worker.js
 *
 * or stickyd --node-preload on, or NODE_OPTIONS="--require stickyd/preload". It
 * may use setupWorker of @socket.io/sticky, or Socket.IO on a server that
 * listens.
 */

'use strict';

if (require('./lib/worker').supervised) {
  require('./index');
  globalThis[Symbol.for('stickyd')].preload(); // the first copy's, where there are several
}
