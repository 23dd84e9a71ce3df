/**
 * Sessions that the application tells its clients of by itself, in the header or
 * cookie that stickyd's --session names: each is registered before the head of
 * the response leaves this process.
 */

'use strict';

const connections = require('./connections');
const { own, disown, owned } = require('./sessions');
const { runtime } = require('./worker');

/** Milliseconds after which a session is forgotten that nobody has asked for. */
const idle = 24 * 3600 * 1000;

/**
 * Milliseconds after which one is forgotten that no request has carried, and how many
 * of those there may be: what keeps no cookies, such as a bot or a health check, has
 * another session with each request.
 */
const unused = 10 * 60_000;
const mostUnused = 100_000;

/** When each session that was learnt is forgotten, by id. */
const forgottenAt = new Map();

/** The ids of those that no request has carried, the oldest first. */
const fresh = new Set();

/**
 * Looks at what a response says of sessions, when its head is made.
 *
 * @param {ReturnType<import('./sources').parse>} find
 */
function learn(find, request, response) {
  const asked = find(request);
  if (forgottenAt.has(asked)) {
    forgottenAt.set(asked, Date.now() + idle);
    fresh.delete(asked);
  }
  const { writeHead } = response;
  if (typeof writeHead !== 'function') return;
  response.writeHead = function (...args) {
    for (const tell of find.told) {
      for (const { id, ends, lasts } of tell(request, asked, args[0], name => headerOf(this, args, name))) {
        if (ends) end(id);
        else begin(id, lasts, asked, request.socket);
      }
    }
    return writeHead.apply(this, args);
  };
}

/** The value of a header as it will be sent: what writeHead is given counts more than what was set before. */
function headerOf(response, args, name) {
  const given = typeof args[1] === 'string' || args[2] ? args[2] : args[1];
  if (Array.isArray(given)) {
    const flat = given.flat();
    const values = flat.filter((_, i) => i % 2 === 1 && String(flat[i - 1]).toLowerCase() === name);
    if (values.length > 0) return values;
  } else if (given) {
    const key = Object.keys(given).find(key => key.toLowerCase() === name);
    if (key !== undefined) return given[key];
  }
  return response.getHeader(name);
}

/** Milliseconds for requests that are under way with an id that another has replaced. */
const grace = 60_000;

/** Registers a session, and has the response wait until stickyd knows it. asked is the id that its request carries. */
function begin(id, lasts = idle, asked, socket) {
  const carried = id === asked || (forgottenAt.has(id) && !fresh.has(id));
  forgottenAt.set(id, Date.now() + (carried ? lasts : Math.min(lasts, unused)));
  if (!carried) noteFresh(id);
  if (asked !== id && forgottenAt.has(asked)) forgottenAt.set(asked, Date.now() + grace);
  sweepSoon();
  if (owned.has(id)) return;
  if (!connections.of(socket)) return own(id); // an injected request has none that could wait
  hold(socket);
  own(id, socket).then(() => release(socket));
}

function noteFresh(id) {
  fresh.delete(id);
  fresh.add(id);
  if (fresh.size <= mostUnused) return;
  const [oldest] = fresh;
  end(oldest);
}

/** How many registrations each socket waits for. */
const held = new Map();

/** Has what is written to a socket wait. A response uncorks its socket when it ends, so that must do nothing. */
function hold(socket) {
  held.set(socket, (held.get(socket) ?? 0) + 1);
  socket.cork();
  socket.uncork = () => {};
}

function release(socket) {
  const others = held.get(socket) - 1;
  if (others > 0) return held.set(socket, others);
  held.delete(socket);
  delete socket.uncork;
  while (socket.writableCorked > 0) socket.uncork();
}

function end(id) {
  forgottenAt.delete(id);
  fresh.delete(id);
  disown(id);
}

/** Milliseconds between two looks at which sessions are to be forgotten. */
const pause = 60_000;

let timer;

function sweepSoon() {
  timer ??= setInterval(() => {
    const now = Date.now();
    for (const [id, at] of forgottenAt) {
      if (at <= now) end(id);
    }
  }, pause).unref();
}

/** Deno and Bun write responses past what cork holds up. */
const waitsInVain = find => runtime !== 'node' && find.told.length > 0;

exports.learn = learn;
exports.waitsInVain = waitsInVain;
