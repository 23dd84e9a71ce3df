/**
 * Where responses tell of sessions: the counterpart of sources.js.
 *
 * Each function gets the request, the id in it, the status of the response, and
 * `header(name)`, the value of a header of the response. It yields
 * `{ id, ends, lasts }`: a session that the response tells of, which may end
 * with it, and the milliseconds that it lasts if that is known.
 */

'use strict';

const { cut, fit, trim, unquoted } = require('./text');

const tellers = {
  // A session of MCP ends by DELETE (Model Context Protocol, Streamable HTTP, Session Management).
  header: name => function* ({ method }, asked, status, header) {
    if (method === 'DELETE' && asked !== '' && status >= 200 && status < 300) yield { id: asked, ends: true };
    for (const value of list(header(name.toLowerCase()))) {
      const id = fit(trim(value));
      if (id !== '' && method !== 'DELETE') yield { id };
    }
  },

  // RFC 6265, section 5.2: of Max-Age and Expires the former counts.
  cookie: name => function* (_, asked, __, header) {
    for (const line of list(header('set-cookie'))) {
      const [pair, ...attributes] = line.split(';');
      const [key, value] = cut(trim(pair), '=');
      if (key !== name) continue;
      const id = fit(unquoted(value));
      const lasts = lifetime(attributes);
      if (id === '' || lasts <= 0) yield { id: asked, ends: true };
      else yield { id, lasts };
    }
  },
};

const list = value => (value === undefined ? [] : [value].flat().map(String));

/** The milliseconds that a cookie lasts, undefined for as long as its client wants. */
function lifetime(attributes) {
  let age, expires;
  for (const attribute of attributes) {
    const [key, value] = cut(trim(attribute), '=');
    if (/^max-age$/i.test(key) && /^-?\d+$/.test(value)) age = Number(value) * 1000;
    if (/^expires$/i.test(key)) expires = Date.parse(value) - Date.now();
  }
  return age ?? (Number.isNaN(expires) ? undefined : expires);
}

exports.tellers = tellers;
