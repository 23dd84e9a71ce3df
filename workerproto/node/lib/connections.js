/**
 * The connections that came through stickyd, and how it counts them: one of a
 * session counts as that session, and each other one by itself until it gets
 * a session or ends.
 */

'use strict';

const { gather } = require('./channel');

/** Connection by socket. */
const connections = new Map();

class Connection {
  /** No request has come yet: the first one is here because stickyd wants it here. */
  fresh = true;

  /** A request was moved: whatever else the parser finds is not for this worker. */
  moved = false;

  /** How much had been read when the last request was whole, Infinity until it is; see replay.js. */
  endedAt = 0;

  /**
   * @param {import('node:net').Socket} socket
   * @param {{ session: boolean, injected: number }} arrival
   */
  constructor(socket, { session, injected }) {
    this.socket = socket;
    this.counted = !session;
    this.injected = injected;
  }

  /** How many bytes of it the parser was given, the ones of now included. */
  get read() {
    return this.socket.bytesRead + this.injected;
  }

  /** Whether it waits for another request. Of one that speaks another protocol by now, nobody knows. */
  get idle() {
    const { parser, _httpMessage } = this.socket;
    return Boolean(parser) && !_httpMessage && !this.fresh && !this.moved && this.endedAt !== Infinity;
  }

  /** Takes it off the count, if it is on, and returns how many that are: 0 or 1. */
  uncount() {
    const n = this.counted ? 1 : 0;
    this.counted = false;
    return n;
  }
}

/** Notes a new connection. */
function open(socket, arrival) {
  const connection = new Connection(socket, arrival);
  connections.set(socket, connection);
  socket.once('close', () => {
    connections.delete(socket);
    if (connection.uncount()) gather({ closed: 1 });
  });
}

/** No request is to come here any more: idle connections are closed, and others after their response. */
function letGo() {
  for (const { idle, socket } of connections.values()) {
    if (idle) socket.destroy();
    else if (socket._httpMessage) socket._httpMessage.shouldKeepAlive = false;
  }
}

exports.open = open;
exports.letGo = letGo;
/** @returns {Connection | undefined} undefined if it did not come through stickyd */
exports.of = socket => connections.get(socket);
