/**
 * This process as a worker of stickyd.
 */

'use strict';

const cluster = require('node:cluster');
const { EventEmitter, once } = require('node:events');

const { STICKYD_WORKER, STICKYD_WORKERS } = process.env;

/**
 * Whether stickyd is at the other end of the channel. A process that a worker
 * has forked inherits the variables, but is not a worker of its cluster.
 */
const supervised = cluster.isWorker && STICKYD_WORKER !== undefined && typeof process.send === 'function';

/**
 * Emits `drain`, with `{ limit, deadline }`, when stickyd is going to end this
 * worker: it gets no new sessions, and has that many milliseconds for those
 * that it has, which go on. It may come again, with another limit.
 *
 * Emits `finish` once, with the same, when no connection comes any more: what
 * is open may be finished, and then the worker ends.
 */
class Worker extends EventEmitter {
  /** Whether the process runs under stickyd. */
  supervised = supervised;

  /** The worker's place, 1 to slots, the same for each that replaces it; 0 without stickyd. */
  slot = supervised ? Number(STICKYD_WORKER) : 0;

  /** How many workers there are. */
  slots = supervised ? Number(STICKYD_WORKERS) : 0;

  /** What `drain` was emitted with last, once it was. */
  drain = undefined;

  /** What `finish` was emitted with, once it was. */
  finish = undefined;

  /** Resolves with what `drain` is emitted with first. */
  draining = once(this, 'drain').then(([notice]) => notice);

  /** Resolves with what `finish` is emitted with. */
  finishing = once(this, 'finish').then(([notice]) => notice);
}

exports.worker = new Worker();
exports.supervised = supervised;
