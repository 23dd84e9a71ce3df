/**
 * This process as a worker of stickyd.
 */

'use strict';

const cluster = require('node:cluster');
const { EventEmitter, once } = require('node:events');

const { STICKYD_WORKER, STICKYD_WORKERS, STICKYD_NODE = '{}' } = process.env;

/** What runs this process: 'node', 'deno' or 'bun'. */
const runtime = ['deno', 'bun'].find(name => process.versions[name]) ?? 'node';

/**
 * Whether stickyd is at the other end of the channel. A process that a worker
 * has forked inherits the variables, but is not a worker of its cluster.
 */
const supervised = cluster.isWorker && STICKYD_WORKER !== undefined && typeof process.send === 'function';

/** What stickyd has to say: session, where session ids stand, as its --session has it, and serialization, of the channel. */
const settings = { session: ['query:sid'], serialization: 'json', ...JSON.parse(STICKYD_NODE) };

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

  /** Says that connections may come, where attach was told to wait for that, or stickyd was (--wait-ready). */
  ready() {
    if (supervised) require('./channel').send('ready');
  }
}

/**
 * Takes out of the environment what is for this process alone: programs that it
 * starts must not take themselves for this worker. preload is the path of the
 * script that stickyd has this process load first, if it did.
 */
function hideFromChildren(preload) {
  for (const name of ['STICKYD_FD', 'STICKYD_PROTOCOL', 'STICKYD_NODE']) delete process.env[name];
  if (preload === undefined) return;
  const quoted = `"${preload.replace(/[\\"]/g, '\\$&')}"`;
  const escaped = preload.replace(/[ \t"']/g, '\\$&');
  for (const [name, options] of [['NODE_OPTIONS', [`--require ${quoted}`, `--allow-fs-read=${quoted}`]], ['BUN_OPTIONS', [`--preload ${escaped}`]]]) {
    let value = process.env[name];
    if (value === undefined) continue;
    for (const option of options) value = value.replace(option, '');
    if (value.trim() === '') delete process.env[name];
    else process.env[name] = value.trim();
  }
}

exports.worker = new Worker();
exports.supervised = supervised;
exports.runtime = runtime;
exports.settings = settings;
exports.hideFromChildren = hideFromChildren;
