/**
 * What Bun needs of the preload beside what Node does: its servers listen by
 * themselves, in workers, too. So this asks stickyd, as Node's cluster module
 * would, and lets one that gets its connections through the channel not listen.
 */

'use strict';

const http = require('node:http');
const { tellOf } = require('./channel');

/** The servers that get connections, by the key that stickyd has given each. */
const servers = new Map();

/** Those that wait for an answer, by the number of their question. */
const asking = new Map();

let questions = 0;

function install() {
  tellOf(globalThis.Bun, 'serve', 'Bun.serve');
  const { listen, close, address } = http.Server.prototype;
  process.prependListener('internalMessage', message => {
    if (message?.cmd !== 'NODE_CLUSTER' || !asking.has(message.ack)) return;
    const answered = asking.get(message.ack);
    asking.delete(message.ack);
    answered(message);
  });
  http.Server.prototype.listen = function (...args) {
    const wish = parse(args);
    if (!wish) return listen.apply(this, args);
    if (wish.listening) this.once('listening', wish.listening);
    const query = { address: wish.host ?? null, port: wish.path ? -1 : wish.port, addressType: wish.path ? -1 : 4, index: indexOf(wish) };
    if (wish.path) query.address = wish.path;
    ask({ act: 'queryServer', data: null, flags: 0, ...query }, ({ key, errno, sockname }) => {
      if (errno === 0) return listen.apply(this, withoutListener(args));
      if (errno) return this.emit('error', Object.assign(new Error(`listen ${wish.port}`), { errno, syscall: 'listen' }));
      servers.set(key, this);
      doorOf.set(this, { key, address: sockname ?? wish.path });
      Object.defineProperty(this, 'listening', { value: true, configurable: true });
      this.emit('listening');
      // Not in this turn: whoever only looks for a free port has closed it by then.
      setImmediate(() => doorOf.has(this) && tell({ act: 'listening', ...query, port: sockname?.port ?? query.port }));
    });
    return this;
  };
  http.Server.prototype.close = function (callback) {
    const door = doorOf.get(this);
    if (!door) return close.call(this, callback);
    doorOf.delete(this);
    servers.delete(door.key);
    delete this.listening;
    tell({ act: 'close', key: door.key });
    setImmediate(() => { callback?.(); this.emit('close'); });
    return this;
  };
  http.Server.prototype.address = function () {
    return doorOf.has(this) ? doorOf.get(this).address : address.call(this);
  };
}

/** What stickyd has given a server that does not listen by itself. */
const doorOf = new WeakMap();

const indexes = new Map();

/** Tells apart servers that want to listen at the same address. */
function indexOf({ host, port, path }) {
  const name = `${host} ${port} ${path}`;
  const n = indexes.get(name) ?? 0;
  indexes.set(name, n + 1);
  return n;
}

/** What listen(port, host, backlog, listener), listen(path, listener) and listen(options, listener) ask for. */
function parse(args) {
  const listening = args.findLast(argument => typeof argument === 'function');
  const [first, second] = args;
  if (typeof first === 'object' && first !== null) {
    const { port, host, path, signal } = first;
    return signal || port === undefined && path === undefined ? undefined : { port: Number(port ?? 0), host, path, listening };
  }
  if (typeof first === 'string' && !/^\d+$/.test(first)) return { path: first, listening };
  return { port: Number(first ?? 0) || 0, host: typeof second === 'string' ? second : undefined, listening };
}

const withoutListener = args => args.filter(argument => typeof argument !== 'function');

function tell(message) {
  process.send({ cmd: 'NODE_CLUSTER', ...message, seq: ++questions });
  return questions;
}

function ask(message, answered) {
  asking.set(tell(message), answered);
}

exports.install = install;
exports.server = key => servers.get(key);
