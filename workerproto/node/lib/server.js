/**
 * What a worker does with each event of an HTTP server ahead of the
 * application.
 */

'use strict';

const { claim } = require('./arrivals');
const connections = require('./connections');
const { moveRequest, moveUpgrade } = require('./detour');
const { noteEnd } = require('./replay');
const { owned } = require('./sessions');
const { worker } = require('./worker');

const watched = new WeakSet();

// Without the channel no connection can be given back, and none that is idle
// is to keep the process alive.
process.once('disconnect', () => {
  for (const { idle, socket } of connections.all()) {
    if (idle) socket.destroy();
    else if (socket._httpMessage) socket._httpMessage.shouldKeepAlive = false;
  }
});

/**
 * Comes between a server and its listeners.
 *
 * @param {import('node:http').Server} server
 * @param {ReturnType<import('./sources').parse>} find
 */
function watch(server, find) {
  if (watched.has(server)) return;
  watched.add(server);
  const emit = server.emit;
  server.emit = function (event, first, second, third) {
    switch (event) {
      case 'connection':
        claim(first);
        break;
      case 'checkExpectation':
        if (answersProbe(first, second)) return true;
        // falls through
      case 'request':
      case 'checkContinue':
        if (isElsewhere(find, first, connection => moveRequest(connection, first, second))) return true;
        if (worker.finish || !process.connected) second.shouldKeepAlive = false;
        break;
      case 'upgrade':
        if (isElsewhere(find, first, connection => moveUpgrade(connection, first, third))) return true;
        break;
    }
    return emit.apply(this, arguments);
  };
}

/** Answers stickyd's question whether this worker is ready, as Node does where nobody listens. */
function answersProbe(request, response) {
  if (request.headers.expect !== 'stickyd-probe' || connections.of(request.socket)) return false;
  response.writeHead(417).end();
  return true;
}

/** Reports whether a request is none of this worker's: it was moved, or is behind one that was. */
function isElsewhere(find, request, moves) {
  const connection = connections.of(request.socket);
  if (!connection) return false;
  if (connection.moved) return true;
  if (!connection.fresh && isForeign(find(request)) && moves(connection)) return true;
  connection.fresh = false; // the first request is where stickyd wants it
  noteEnd(connection, request);
  return false;
}

/** Whether an id is of a session elsewhere. While this worker drains, a request without one is to start its session elsewhere, too. */
const isForeign = id => (id === '' ? worker.drain && !worker.finish : !owned.has(id));

exports.watch = watch;
exports.isWatched = server => watched.has(server);
