/**
 * The sessions of Engine.IO, on which Socket.IO stands.
 */

'use strict';

const { greet, send } = require('./channel');
const { bytesOf, disown, own } = require('./sessions');

const enrolled = new Set();

/**
 * Registers an engine's sessions from now on, each before the client is told
 * its id: the engine waits for generateId. Returns false for what is no engine
 * of a kind that does.
 */
function enroll(engine) {
  if (enrolled.has(engine)) return true;
  if (!isEngine(engine)) return false;
  enrolled.add(engine);
  greet();
  if (enrolled.size === 1) send('early');
  let generate = engine.generateId;
  const generateAndBind = async function (request, ...rest) {
    const id = await generate.call(this, request, ...rest);
    await own(bytesOf(`${id}`), request?.socket); // to Engine.IO a number is as good
    watchHandshake(engine, id);
    return id;
  };
  Object.defineProperty(engine, 'generateId', {
    configurable: true,
    enumerable: true,
    get: () => generateAndBind,
    set(f) { generate = f; }, // as applications do to have ids of their own
  });
  engine.on('connection', session => session.on('close', ended));
  return true;
}

function ended() {
  disown(bytesOf(`${this.id}`));
}

/** The handshakes that go on in this turn of the event loop, or have failed. */
const handshakes = [];

function watchHandshake(engine, id) {
  if (handshakes.push({ engine, id }) === 1) setImmediate(forgetFailed);
}

function forgetFailed() {
  for (const { engine, id } of handshakes.splice(0)) {
    if (!engine.clients[id]) disown(bytesOf(`${id}`));
  }
}

const isEngine = engine => typeof engine?.generateId === 'function' && typeof engine.on === 'function' && typeof engine.clients === 'object';

/** Milliseconds for what is under way then, such as an acknowledgement that an open poll is to bring. */
const grace = 1000;

let leaving = false;

/**
 * No connection will come to this worker any more, so no further poll. Sessions
 * that poll are closed soon, with an answer to the poll that is open: their
 * clients connect anew, and keep this process no longer. WebSockets go on.
 */
function leave() {
  if (leaving) return;
  leaving = true;
  setTimeout(() => {
    closePolling();
    setInterval(closePolling, grace / 4).unref(); // those whose upload or upgrade has come to its end
  }, grace).unref();
}

process.once('disconnect', leave); // of its own accord

function closePolling() {
  for (const { clients } of enrolled) {
    for (const session of Object.values(clients)) {
      const { transport, upgrading } = session;
      if (transport?.name === 'polling' && !transport.dataReq && !upgrading) session.close(true);
    }
  }
}

/** Enrolls each engine that a copy of the package engine.io makes, or has made, when it is first used. */
function enrollAll(exported) {
  const prototype = exported?.Server?.prototype;
  if (typeof prototype?.generateId !== 'function') return;
  for (const name of ['attach', 'handshake']) {
    const original = prototype[name];
    if (typeof original !== 'function' || original[enrolls]) continue;
    prototype[name] = function (...args) {
      enroll(this);
      return original.apply(this, args);
    };
    prototype[name][enrolls] = true;
  }
}

/** Does so for the copies of engine.io that this process has loaded. */
function enrollLoaded() {
  for (const module of Object.values(require.cache)) {
    if (/[\\/]engine\.io[\\/]/.test(module?.filename ?? '')) enrollAll(module.exports);
  }
}

/** Marks methods that do. */
const enrolls = Symbol('stickyd');

exports.thereAreEngines = () => enrolled.size > 0;
exports.enroll = enroll;
exports.enrollAll = enrollAll;
exports.enrollLoaded = enrollLoaded;
exports.leave = leave;
