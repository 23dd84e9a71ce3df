/**
 * The last response on a connection says so, also where the application's own
 * headers say something else.
 */

'use strict';

/** Has a response end its connection. */
function makeLast(response) {
  response.shouldKeepAlive = false;
  const { writeHead } = response;
  if (typeof writeHead !== 'function') return;
  response.writeHead = function (status, ...rest) {
    const at = typeof rest[0] === 'string' || rest[1] ? 1 : 0; // behind a message
    const given = rest[at];
    if (Array.isArray(given)) { // beside headers that are set, Node takes no pairs, and of fields with one name the last
      this.removeHeader('Connection');
      rest[at] = [...without(given), ...Array.isArray(given[0]) ? [['Connection', 'close']] : ['Connection', 'close']];
    } else {
      if (given) rest[at] = without(given);
      this.setHeader('Connection', 'close');
    }
    return writeHead.call(this, status, ...rest);
  };
}

/** Headers as writeHead takes them: an object, pairs, or names and values in turn. */
function without(headers) {
  const is = name => String(name).toLowerCase() === 'connection';
  if (!Array.isArray(headers)) return Object.fromEntries(Object.entries(headers).filter(([name]) => !is(name)));
  if (Array.isArray(headers[0])) return headers.filter(([name]) => !is(name));
  return headers.filter((_, i) => !is(headers[i - i % 2]));
}

exports.makeLast = makeLast;
