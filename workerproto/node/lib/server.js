/**
 * What a worker does with each event of an HTTP server ahead of the
 * application.
 */

'use strict';

const { claim } = require('./arrivals');
const connections = require('./connections');
const deno = require('./deno');
const { canMove, moveRequest, moveUpgrade } = require('./detour');
const { thereAreEngines } = require('./engine');
const { makeLast } = require('./last');
const { learn } = require('./learn');
const { noteEnd } = require('./replay');
const { owned, thereAreNone } = require('./sessions');
const { worker } = require('./worker');

const watched = new WeakSet();

// Without the channel no connection can be given back, and none that is idle
// is to keep the process alive.
process.once('disconnect', connections.letGo);

/**
 * Comes between a server and its listeners.
 *
 * @param {import('node:net').Server} server
 * @param {ReturnType<import('./sources').parse>} find
 * @param {Function} [emit] the server's own, where what it has now is the preload's
 */
function watch(server, find, emit = server.emit) {
  if (watched.has(server)) return;
  watched.add(server);
  const learns = find.told.length > 0;
  server.emit = function (event, first, second, third) {
    switch (event) {
      case 'connection':
        claim(first);
        break;
      case 'request':
      case 'checkContinue':
      case 'checkExpectation':
        if (isElsewhere(find, first, moveRequest, second)) return true;
        if (isLast(this, find, first)) makeLast(second);
        if (learns) learn(find, first, second);
        break;
      case 'upgrade':
        if (isElsewhere(find, first, moveUpgrade, third)) return true;
        break;
    }
    return emit.apply(this, arguments);
  };
}

/** Reports whether a request is none of this worker's: it was moved, or is behind one that was. */
function isElsewhere(find, request, move, beside) {
  const connection = connections.of(request.socket);
  if (!connection) return false;
  if (connection.moved) return true;
  if (!connection.fresh && isForeign(find, request, connection) && move(connection, request, beside)) return true;
  connection.fresh = false; // the first request is where stickyd wants it
  noteEnd(connection, request);
  return false;
}

/** Whether a connection is to be closed after the response: its next request could have to be moved, and can't be. */
function isLast(server, find, request) {
  if (worker.finish || !process.connected || deno.closes(server)) return true;
  const sessions = () => find.told.length > 0 || thereAreEngines() || !thereAreNone();
  return !canMove && sessions() && Boolean(connections.of(request.socket));
}

/**
 * Whether a request is of a session elsewhere. While this worker drains, one without
 * a session is to start its own elsewhere, too. Nearly every request is of the same
 * session as the one before it on the connection, which takes less time to tell.
 */
function isForeign(find, request, connection) {
  const { last } = connection;
  if (last?.here && find.inTarget && request.url === connection.target) return false;
  const id = find(request, last?.id);
  if (id === '') return worker.drain && !worker.finish;
  if (find.inTarget) connection.target = request.url;
  if (last?.here && id === last.id) return false;
  connection.last = owned.get(id);
  return !connection.last && !thereAreNone();
}

exports.watch = watch;
exports.isWatched = server => watched.has(server);
