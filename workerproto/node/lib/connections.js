/**
 * The connections that came through stickyd, and how it counts them: one of a
 * session counts as that session, and each other one by itself until it gets
 * a session or ends.
 */

'use strict';

const { gather } = require('./channel');

/**
 * Where a socket has its connection. (A Map by sockets, which come and go by the
 * thousand, takes a worker more time than all else here.)
 */
const own = Symbol('stickyd');

/** The connections that are open, in a ring: behind this one the first, before it the last. */
const ring = {};
ring.next = ring.before = ring;

class Connection {
  /** Its neighbours in the ring. */
  before = ring.before;
  next = ring;

  /** No request has come yet: the first one is here because stickyd wants it here. */
  fresh = true;

  /** A request was moved: whatever else the parser finds is not for this worker. */
  moved = false;

  /** The session of the last request that had one, where that is this worker's, and that request's target, where it says which. */
  last = undefined;
  target = '';

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
  const connection = socket[own] = new Connection(socket, arrival);
  connection.before.next = ring.before = connection;
  socket.on('close', closed);
}

/** A socket has closed. */
function closed() {
  const connection = this[own];
  if (!connection) return;
  this[own] = undefined;
  const { before, next } = connection;
  before.next = next;
  next.before = before;
  if (connection.uncount()) gather({ closed: 1 });
}

/** No request is to come here any more: idle connections are closed, and others after their response. */
function letGo() {
  for (let one = ring.next; one !== ring; one = one.next) {
    if (one.idle) one.socket.destroy(); // which closes it later
    else if (one.socket._httpMessage) one.socket._httpMessage.shouldKeepAlive = false;
  }
}

exports.open = open;
exports.letGo = letGo;
/** @returns {Connection | undefined} undefined if it did not come through stickyd */
exports.of = socket => socket?.[own];
