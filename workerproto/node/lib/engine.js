/**
 * The sessions of Engine.IO, on which Socket.IO stands.
 */

'use strict';

const { greet } = require('./channel');
const { bind, unbind } = require('./sessions');

const enrolled = new WeakSet();

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
  let generate = engine.generateId;
  const generateAndBind = async function (request, ...rest) {
    const id = await generate.call(this, request, ...rest);
    await bind(id, request?.socket);
    // The handshake goes on in this turn of the event loop, or has failed.
    setImmediate(() => engine.clients[id] || unbind(id));
    return id;
  };
  Object.defineProperty(engine, 'generateId', {
    configurable: true,
    enumerable: true,
    get: () => generateAndBind,
    set(f) { generate = f; }, // as applications do to have ids of their own
  });
  engine.on('connection', socket => socket.once('close', () => unbind(socket.id)));
  return true;
}

const isEngine = engine => typeof engine?.generateId === 'function' && typeof engine.on === 'function' && typeof engine.clients === 'object';

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

/** Marks methods that do. */
const enrolls = Symbol('stickyd');

exports.enroll = enroll;
exports.enrollAll = enrollAll;
