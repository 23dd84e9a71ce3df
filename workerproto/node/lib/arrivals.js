/**
 * What comes from stickyd: connections, and the notices that the worker gets no
 * new sessions, and that it is to end.
 */

'use strict';

const connections = require('./connections');
const { leave } = require('./engine');
const { worker } = require('./worker');

/**
 * What stickyd said of a connection that no server has claimed yet, by its
 * socket or, of one that comes as to a server that listens, by its handle.
 */
const announced = new WeakMap();

/** Calls `accept(socket, data)` for connections that nobody else claims. */
let accept;

let listening = false;

/** Listens, once, ahead of the application. */
function listen() {
  if (listening) return;
  listening = true;
  process.prependListener('message', hear);
  process.prependListener('internalMessage', (message, handle) => {
    if (message?.act === 'newconn' && handle) announced.set(handle, { session: ofSession(message), injected: 0 });
  });
}

const ofSession = message => message.stickyd?.session === true;

function hear(message, socket) {
  switch (message?.type) {
    case 'sticky:connection':
      if (socket) hearConnection(message, socket);
      break;
    case 'stickyd:drain':
      hearDrain(message);
      break;
  }
}

function hearConnection(message, socket) {
  const data = message.data = bytes(message.data);
  // What brings bytes and no mark is stickyd's question whether somebody answers.
  const probe = data.length > 0 && !message.stickyd;
  if (!probe) announced.set(socket, { session: ofSession(message), injected: data.length });
  accept?.(socket, data, probe);
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
    for (const { socket } of connections.all()) {
      if (socket._httpMessage) socket._httpMessage.shouldKeepAlive = false;
    }
  }
  worker.emit('drain', notice);
  if (first) worker.emit('finish', notice);
}

/** A server has a new connection: notes it if it came through stickyd. */
function claim(socket) {
  const key = announced.has(socket) ? socket : socket._handle;
  const arrival = key && announced.get(key);
  if (!arrival) return;
  announced.delete(key);
  connections.open(socket, arrival);
}

/** Gives a server a connection of which those bytes were read already. */
function inject(server, socket, data) {
  server.emit('connection', socket);
  if (data.length > 0) socket.emit('data', Buffer.from(data));
}

exports.listen = listen;
exports.claim = claim;
exports.inject = inject;
exports.isUnclaimed = socket => announced.has(socket);
exports.setAccept = f => { accept = f; };
