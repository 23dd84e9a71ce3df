/**
 * The way back to stickyd for a connection whose next request is another
 * worker's. The application sees nothing of that request.
 *
 * Sockets and parsers have no documented way to let go of a descriptor, so this
 * uses what they have inside (measured with Node 18 to 26). When something is
 * not as it was, the application gets the request.
 */

'use strict';

const { send } = require('./channel');
const { replay, replayUpgrade } = require('./replay');
const { runtime } = require('./worker');

/** Deno and Bun let go of nothing. Connections have one request there, where there are sessions. */
const canMove = runtime === 'node';

/**
 * Takes a request that the parser has just read out of this worker. Returns
 * false, having done nothing, if that can't be.
 */
function moveRequest(connection, request, response) {
  const { parser } = connection.socket;
  if (!canLetGo(connection.socket) || !canLeave(parser) || !response) return false;
  const bytes = replay(connection, request, parser.getCurrentBuffer(), response._sent100 === true);
  if (!bytes) return false;
  move(connection, response, bytes);
  return true;
}

/** The same for one that asks for another protocol: it has left the parser. */
function moveUpgrade(connection, request, behind) {
  if (!canLetGo(connection.socket)) return false;
  const bytes = replayUpgrade(request, behind);
  if (!bytes) return false;
  move(connection, undefined, bytes);
  return true;
}

function canLetGo(socket) {
  const handle = socket._handle;
  return process.connected && !socket.encrypted && '_httpMessage' in socket &&
    typeof handle?.readStop === 'function' && typeof handle.readStart === 'function' && typeof handle.close === 'function';
}

const canLeave = parser => typeof parser?.getCurrentBuffer === 'function' && typeof parser.unconsume === 'function';

/**
 * Reading stops at once: what follows in the kernel is for the other worker.
 * All else waits until the parser is left, which does not bear to be freed
 * from within.
 */
function move(connection, response, bytes) {
  connection.moved = true;
  const handle = connection.socket._handle;
  handle.readStop();
  handle.readStart = () => 0; // the request's stream would read on
  setImmediate(whenAnswered, connection.socket, response, () => give(connection, handle, bytes));
}

/** Calls `then` when the responses to earlier requests have left this process. */
function whenAnswered(socket, response, then) {
  const again = () => setImmediate(whenAnswered, socket, response, then);
  const current = socket._httpMessage;
  if (socket.destroyed) return;
  if (response && current !== response) response.once('socket', again);
  else if (!response && current) current.once('close', again);
  else if (socket.writableLength > 0) socket.write('', again);
  else then();
}

function give(connection, handle, bytes) {
  const { socket } = connection;
  if (socket._handle !== handle) return;
  const session = connection.uncount() === 0;
  if (socket.parser?._consumed) {
    socket.parser.unconsume();
    socket.parser._consumed = false;
  }
  delete handle.readStart;
  handle.onread = () => {};
  socket._handle = null; // so that what follows does not close it
  socket.destroy();
  const close = () => handle.close();
  send('return', { session, data: bytes.toString('base64') }, handle).then(close, close);
}

exports.canMove = canMove;
exports.moveRequest = moveRequest;
exports.moveUpgrade = moveUpgrade;
