/**
 * Programs that run another one and have nothing to serve themselves, such as npm.
 * What stickyd has given them is for the one that they run, so they pass the
 * channel on.
 */

'use strict';

const { ChildProcess } = require('node:child_process');
const cluster = require('node:cluster');
const { readFileSync, realpathSync } = require('node:fs');
const { dirname, join, resolve } = require('node:path');
const { settings } = require('./worker');

/**
 * By the package that they are of: how they run the other one in their own place.
 * 'inherit': with its own standard streams; 'ipc': with a channel of its own beside
 * those; undefined: in a way in which nothing can be passed on.
 */
const known = new Map(Object.entries({
  npm: 'inherit',
  npx: 'inherit',
  corepack: 'inherit', // runs yarn or pnpm in its own process
  yarn: 'inherit',
  pnpm: 'inherit',
  'cross-env': 'inherit',
  'dotenv-cli': 'inherit',
  tsx: 'ipc',
  nodemon: undefined,
  'ts-node-dev': undefined,
  concurrently: undefined,
}));

/** Yarn since 2 is one file, in the application's directory or where corepack keeps it. */
const yarn = /[\\/](\.yarn[\\/]releases[\\/]yarn-[^\\/]+|corepack[\\/]([^\\/]+[\\/])?yarn[\\/][^\\/]+[\\/]yarn)\.c?js$/;

/**
 * What a script is, if it is one of those. Its path alone does not say: an
 * application may be in a directory of such a name.
 */
function find(script = process.argv[1]) {
  try {
    const path = realpathSync(script); // from node_modules/.bin, or /usr/bin/npm
    if (yarn.test(path)) return { name: 'yarn', how: 'inherit' };
    const [directory, { name, bin }] = packageOf(path);
    if (!known.has(name)) return undefined;
    const commands = Object.entries(typeof bin === 'string' ? { [name]: bin } : bin);
    const command = commands.find(([, file]) => resolve(directory, file) === path);
    return command && { name: command[0], how: known.get(name) };
  } catch {
    return undefined; // there is no script, or no package, or neither may be read
  }
}

/** The directory and package.json of the package that a file is of. */
function packageOf(path) {
  for (let directory = dirname(path); ; directory = dirname(directory)) {
    try {
      const content = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
      if (content.name) return [directory, content];
    } catch (err) {
      if (err.code !== 'ENOENT' || directory === dirname(directory)) throw err;
    }
  }
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
