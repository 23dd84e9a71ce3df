/**
 * attach makes a server the one that gets this worker's connections.
 */

'use strict';

const arrivals = require('./arrivals');
const { greet, send } = require('./channel');
const { enroll, enrollLoaded } = require('./engine');
const { watch } = require('./server');
const sessions = require('./sessions');
const { parse } = require('./sources');
const { hideFromChildren, settings, supervised } = require('./worker');

/** The server that gets the connections. */
let door;

/**
 * @param {object} target a Socket.IO server that has its HTTP server, or an HTTP server
 * @param {{ session?: string[], holdReady?: boolean }} [options] session: as stickyd's
 *   --session has it, and by default the same. holdReady: no connection comes
 *   before worker.ready() is called
 * @returns {boolean} whether the process runs under stickyd; if not, nothing
 *   was done
 */
function attach(target, { session = settings.session, holdReady = false } = {}) {
  const find = parse(session);
  const { server, engine } = parts(target);
  if (!supervised) return false;
  if (door && door !== server) throw new Error('cannot attach a second server: one gets all connections of a worker');
  greet({ hold: holdReady });
  if (engine && !enroll(engine)) throw new TypeError('cannot attach: this version of Engine.IO is not known');
  if (!engine) enrollLoaded();
  watch(server, find);
  if (!door) {
    door = server;
    hideFromChildren();
    sessions.listen();
    arrivals.listen();
    arrivals.setAccept((socket, data) => arrivals.inject(door, socket, data));
    process.channel?.ref();
    send('adopts', { attached: true });
  }
  return true;
}

/** Which server a Socket.IO server has, and which engine. */
function parts(target) {
  if (isServer(target)) return { server: target };
  const { httpServer: server, engine } = target ?? {};
  if (isServer(server) && engine) return { server, engine };
  throw new TypeError('attach wants an HTTP server, or a Socket.IO server that was given one');
}

const isServer = target => typeof target?.emit === 'function' && typeof target.listen === 'function' && typeof target.close === 'function' && !('engine' in target);

exports.attach = attach;
