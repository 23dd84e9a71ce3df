/**
 * The bytes by which another worker gets a request as this one did.
 *
 * A parser works through chunks, as they were read. The chunk in which a
 * request's head ends has, behind it, what was read of the body and of requests
 * after it. If the head is all in that chunk, the chunk is the replay. If it
 * began in an earlier one, which is gone, it is written anew.
 *
 * No byte may be taken for a part of another request, least of all one of a
 * body for one of a head: a proxy may send several people's requests on one
 * connection. So whatever does not match to the byte is not replayed.
 */

'use strict';

/** The most that stickyd takes (MaxReplay of workerproto in stickyd). */
const limit = 68 << 10;

/**
 * Notes where a request ends, in bytes of its connection, as soon as the
 * parser is there. What the parser has of the next one must lie behind it.
 */
function noteEnd(connection, request) {
  if (!hasBody(request)) {
    connection.endedAt = connection.read;
    return;
  }
  connection.endedAt = Infinity;
  let complete = request.complete;
  Object.defineProperty(request, 'complete', {
    configurable: true,
    enumerable: true,
    get: () => complete,
    set(value) {
      complete = value;
      if (value) connection.endedAt = connection.read;
    },
  });
}

const hasBody = ({ headers }) => headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;

/**
 * Returns the replay of a request whose head the parser has just read, or
 * undefined.
 *
 * @param {import('./connections').Connection} connection
 * @param {import('node:http').IncomingMessage} request
 * @param {Buffer} chunk what the parser is working on
 * @param {boolean} continued the client was already told to go on (100)
 */
function replay(connection, request, chunk, continued) {
  const before = connection.read - chunk.length;
  if (connection.endedAt > before) return undefined; // the request before it is in the chunk, too
  let rest = behindWholeHead(request, chunk);
  if (rest >= 0 && !continued) return bounded(chunk);
  if (rest < 0) rest = behindRestOfHead(request, chunk, before - connection.endedAt);
  if (rest < 0) return undefined;
  return bounded(Buffer.concat([head(request, continued), chunk.subarray(rest)]));
}

const bounded = bytes => (bytes.length <= limit ? bytes : undefined);

/** Where the head ends if the chunk begins with it, else -1. */
function behindWholeHead({ method, url, httpVersion, rawHeaders }, chunk) {
  const end = chunk.indexOf('\r\n\r\n');
  if (end < 0) return -1;
  const [line, ...fields] = chunk.latin1Slice(0, end).split('\r\n');
  if (line !== `${method} ${url} HTTP/${httpVersion}` || fields.length * 2 !== rawHeaders.length) return -1;
  const same = fields.every((field, i) => {
    const colon = field.indexOf(':');
    return field.slice(0, colon) === rawHeaders[2 * i] && trim(field.slice(colon + 1)) === trim(rawHeaders[2 * i + 1]);
  });
  return same ? end + 4 : -1;
}

/** Where the head ends if that many bytes of it came before the chunk, else -1. */
function behindRestOfHead(request, chunk, before) {
  const whole = head(request, false);
  const rest = whole.length - before;
  return before > 0 && rest > 0 && rest <= chunk.length && whole.subarray(before).equals(chunk.subarray(0, rest)) ? rest : -1;
}

const trim = text => text.replace(/^[ \t]+|[ \t]+$/g, '');

/** The head as nearly every client writes it. */
function head({ method, url, httpVersion, rawHeaders }, continued) {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!continued || rawHeaders[i].toLowerCase() !== 'expect') text += `${rawHeaders[i]}: ${rawHeaders[i + 1]}\r\n`;
  }
  return Buffer.from(`${text}\r\n`, 'latin1');
}

/** The replay of a request to change protocols, whose parser is gone: Node has cut off what follows. */
function replayUpgrade(request, behind) {
  return bounded(Buffer.concat([head(request, false), behind]));
}

exports.noteEnd = noteEnd;
exports.replay = replay;
exports.replayUpgrade = replayUpgrade;
