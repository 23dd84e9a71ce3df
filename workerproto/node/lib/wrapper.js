/**
 * Programs that run another one and have nothing to serve themselves, such as npm.
 * What stickyd has given them is for the one that they run, so they pass the
 * channel on.
 */

'use strict';

const { ChildProcess } = require('node:child_process');
const cluster = require('node:cluster');
const { settings } = require('./worker');

/**
 * By the script that is run: what it is called, and how it runs the other one
 * in its own place. 'inherit': with its own standard streams; 'ipc': with a
 * channel of its own beside those; undefined: in a way in which nothing can be
 * passed on.
 */
const known = [
  [/[\\/](npm-cli\.js|npm)$/, 'npm', 'inherit'],
  [/[\\/](npx-cli\.js|npx)$/, 'npx', 'inherit'],
  [/[\\/]yarn(\.js|\.cjs|-[\d.]+\.c?js)?$/, 'yarn', 'inherit'],
  [/[\\/]pnpm(\.[cm]?js)?$/, 'pnpm', 'inherit'],
  [/[\\/](cross-env(-shell)?|cross-env[\\/].*\.js)$/, 'cross-env', 'inherit'],
  [/[\\/](dotenv|dotenv-cli[\\/]cli\.js)$/, 'dotenv', 'inherit'],
  [/[\\/](tsx|tsx[\\/]dist[\\/]cli\.[cm]js)$/, 'tsx', 'ipc'],
  [/[\\/]nodemon(\.js)?$/, 'nodemon'],
  [/[\\/](ts-node-dev|tsnd)$/, 'ts-node-dev'],
  [/[\\/](concurrently|concurrently[\\/].*\.js)$/, 'concurrently'],
];

/** What this process is, if it is one of those. */
function find() {
  const wrapper = known.find(([script]) => script.test(process.argv[1] ?? ''));
  return wrapper && { name: wrapper[1], how: wrapper[2] };
}

/** Passes the channel on, and tells stickyd so, or that it can't be. */
function passOn({ name, how }) {
  const channel = handle();
  const passes = how !== undefined && channel?.fd >= 0 && typeof channel.readStop === 'function';
  process.send({ cmd: 'NODE_STICKYD', act: 'wrapper', name, passes });
  if (!passes) return;
  Object.assign(cluster, { isWorker: false, isPrimary: true, isMaster: true }); // what it listens on is its own
  channel.readStop(); // what comes from now on is for the other
  process.channel.unref();
  const variables = [`NODE_CHANNEL_FD=3`, `NODE_CHANNEL_SERIALIZATION_MODE=${settings.serialization}`, `NODE_UNIQUE_ID=${cluster.worker.id}`];
  const { spawn } = ChildProcess.prototype;
  ChildProcess.prototype.spawn = function (options) {
    if (isInPlace(options.stdio, how)) {
      options.stdio = ['inherit', 'inherit', 'inherit', channel.fd];
      options.envPairs = [...options.envPairs ?? [], ...variables];
    }
    return spawn.call(this, options);
  };
}

/** The native handle of Node's own channel. */
function handle() {
  const symbol = Object.getOwnPropertySymbols(process).find(({ description }) => description === 'kChannelHandle');
  return symbol && process[symbol];
}

/** Whether a program with such streams is run in the place of this one. */
function isInPlace(stdio, how) {
  if (stdio === 'inherit') return how === 'inherit';
  return Array.isArray(stdio) && stdio.slice(0, 3).every((one, i) => one === 'inherit' || one === i) &&
    (how === 'ipc' ? stdio.length === 4 && stdio[3] === 'ipc' : stdio.length === 3);
}

exports.find = find;
exports.passOn = passOn;
