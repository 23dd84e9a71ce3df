/**
 * Gives an application that knows nothing of this package what attach gives.
 * stickyd has Node, Deno and Bun load it before the application (--node-preload);
 * by hand it is
 *
 *     stickyd -- node --require stickyd/preload worker.js
 *
 * The application may use setupWorker of @socket.io/sticky, or any HTTP server
 * that listens.
 */

'use strict';

if (require('./lib/worker').supervised) {
  const wrapper = require('./lib/wrapper');
  const known = wrapper.find();
  if (known) {
    wrapper.passOn(known);
  } else {
    require('./index');
    globalThis[Symbol.for('stickyd')].preload(__filename); // the first copy's, where there are several
  }
}
