/**
 * What requests and responses are taken apart with.
 */

'use strict';

/** The longest id, in bytes. */
const longest = 256;

/** An id, '' if it is too long for one. */
const fit = id => (id.length > longest ? '' : id);

/** What stands before a separator and behind it, and whether there is one. */
function cut(text, separator) {
  const at = text.indexOf(separator);
  return at < 0 ? [text, '', false] : [text.slice(0, at), text.slice(at + 1), true];
}

const trim = text => text.replace(/^[ \t]+|[ \t]+$/g, '');

const unquoted = value => value.replace(/^"(.*)"$/s, '$1');

Object.assign(exports, { fit, cut, trim, unquoted });
