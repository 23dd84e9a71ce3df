/**
 * What a Socket.IO server, or any HTTP server with sessions in memory, needs to
 * be a worker of stickyd.
 *
 *     const { attach } = require('stickyd');
 *     if (!attach(io)) httpServer.listen(3000); // by itself, without stickyd
 *
 * lib/ has one subject a file: what comes in (arrivals), what goes out
 * (channel), which sessions are here (sessions, sources, engine), what is open
 * (connections), and the way back for a request that is another worker's
 * (server, detour, replay).
 */

'use strict';

/** Of several copies in a process, such as an installed one and the one that stickyd brings, the first is the package. */
const first = Symbol.for('stickyd');

globalThis[first] ??= {
  exports: {
    attach: require('./lib/attach').attach,
    bind: require('./lib/sessions').bind,
    unbind: require('./lib/sessions').unbind,
    worker: require('./lib/worker').worker,
  },
  preload: () => require('./lib/unchanged').install(),
};

module.exports = globalThis[first].exports;
