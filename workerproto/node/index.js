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

const { attach } = require('./lib/attach');
const { bind, unbind } = require('./lib/sessions');
const { worker } = require('./lib/worker');

module.exports = { attach, bind, unbind, worker };
