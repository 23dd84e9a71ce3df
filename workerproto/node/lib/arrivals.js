/**
 * What comes from stickyd: connections, and the notices that the worker gets no
 * new sessions, and that it is to end.
 */

'use strict';

const { hear, overhear } = require('./channel');
const connections = require('./connections');
const deno = require('./deno');
const { leave } = require('./engine');
const { noteNone } = require('./sessions');
const { runtime, worker } = require('./worker');

/** Where a native handle has what stickyd said of its connection, until a server claims that. (A WeakMap costs more than all else here.) */
const announced = Symbol('stickyd');

/** Gives a connection to a server: `accept(socket, data, key)`. */
let accept;

let listening = false;

/** Listens, once, ahead of the application. */
function listen() {
  if (listening) return;
  listening = true;
  hear('connection', hearConnection);
  hear('drain', hearDrain);
  overhear(noteHandle);
  if (runtime !== 'node') process.prependListener('message', noteSocket); // there 'internalMessage' does not have them
}

/** Notes a connection that comes to a server that listens (newconn), or to setupWorker. */
function noteHandle(message, handle) {
  if (!handle) return;
  if (message.act === 'newconn') {
    handle[announced] = { session: ofSession(message), injected: 0 };
  } else if (message.msg?.type === 'sticky:connection') {
    const data = message.msg.data = bytes(message.msg.data);
    handle[announced] = { session: ofSession(message.msg), injected: data.length };
  }
}

const noteSocket = (message, socket) => noteHandle({ msg: message }, socket?._handle);

const ofSession = message => message.stickyd?.session === true;

function hearConnection(message, socket) {
  if (!socket) return;
  if (message.nobody) noteNone();
  const data = message.data === undefined ? Buffer.alloc(0) : bytes(message.data);
  if (socket._handle) socket._handle[announced] = { session: message.session === true, injected: data.length };
  accept?.(socket, data, message.key);
}

/** A Buffer, which is an object in JSON; the published library wants no Buffer where there is nothing. */
function bytes(data) {
  return data?.type === 'Buffer' && Array.isArray(data.data) ? Buffer.from(data.data) : data;
}

/** Each notice replaces the one before; the last one comes with `finish`. */
function hearDrain({ limit, finish }) {
  const notice = worker.drain = { limit, deadline: new Date(Date.now() + limit) };
  const first = finish && !worker.finish;
  if (first) {
    worker.finish = notice;
    leave();
    connections.letGo();
  }
  worker.emit('drain', notice);
  if (first) worker.emit('finish', notice);
}

/** A server has a new connection: notes it if it came through stickyd. */
function claim(socket) {
  const handle = socket?._handle;
  const arrival = handle?.[announced];
  if (!arrival) return;
  handle[announced] = undefined;
  connections.open(socket, arrival);
  if (runtime === 'deno' && arrival.injected === 0) deno.skipNothing(socket);
}

/** Gives a server a connection of which those bytes were read already. */
function inject(server, socket, data) {
  server.emit('connection', socket);
  if (data.length > 0) socket.emit('data', data);
}

exports.listen = listen;
exports.claim = claim;
exports.inject = inject;
exports.setAccept = f => { accept = f; };
