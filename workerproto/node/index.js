/**
 * What a Socket.IO server, or any HTTP server with sessions in memory, needs to
 * be a worker of stickyd.
 *
 *     const { attach } = require('stickyd');
 *     if (!attach(io)) httpServer.listen(3000); // by itself, without stickyd
 *
 * lib/ has one subject a file: the channel to stickyd (channel), the connections
 * that come through it (arrivals) and are open (connections), which sessions are
 * here (sessions), from requests (sources), responses (learn, told) and Engine.IO
 * (engine), the way back for a request that is another worker's (server, detour,
 * replay), and what the preload does to an application (unchanged, wrapper, bun,
 * deno).
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
  preload: script => require('./lib/unchanged').install(script),
};

module.exports = globalThis[first].exports;
