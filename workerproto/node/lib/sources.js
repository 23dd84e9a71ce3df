/**
 * Where session ids stand in requests, as stickyd's --session has it: both must
 * find the same one in a request, or it would be given back for nothing
 * (routing/session in stickyd). Ids are bytes, each written as the character of
 * that number.
 */

'use strict';

const { cut, fit, trim, unquoted } = require('./text');
const { tellers } = require('./told');

/**
 * Reads sources such as `query:sid`, `header:NAME`, `cookie:NAME`,
 * `path:/PATTERN`, or `none`, which stands alone.
 *
 * @param {string[]} specs
 * @returns {((request: { url: string, rawHeaders: string[] }, known?: string) => string) & { inTarget: boolean, told: Function[] }}
 *   finds the id of a request, '' if it has none; known is a guess: if it is right,
 *   the answer is faster. inTarget: the id depends on the target alone. told finds
 *   what a response says of sessions; see told.js.
 */
function parse(specs) {
  const finders = [];
  const told = [];
  const inTarget = specs.every(spec => /^(query|path):/.test(spec));
  for (const spec of specs.length === 1 && specs[0] === 'none' ? [] : specs) {
    const [, kind, name] = /^(query|header|cookie|path):(.+)$/s.exec(spec) ?? [];
    if (kind === undefined) throw new TypeError(`session source "${spec}" must be query:NAME, header:NAME, cookie:NAME or path:/PATTERN`);
    finders.push(kinds[kind](Buffer.from(name).latin1Slice(), spec));
    if (tellers[kind]) told.push(tellers[kind](name));
  }
  return Object.assign(finders.length === 1 ? finders[0] : first(finders), { inTarget, told });
}

/** What the first of them finds that finds an id. */
const first = finders => (request, known) => {
  for (const find of finders) {
    const id = find(request, known);
    if (id !== '') return id;
  }
  return '';
};

const kinds = {
  query: name => {
    if (/[=&?#%+]/.test(name)) return ({ url }) => inQuery(url, name);
    return ({ url }, known = '') => (isPlain(url) ? inPlainQuery(url, name, known) : inQuery(url, name));
  },
  header: name => request => {
    for (const value of values(request, name)) {
      if (value !== '') return fit(value);
    }
    return '';
  },
  cookie: name => request => {
    for (const field of values(request, 'cookie')) {
      for (const pair of field.split(';')) {
        const [key, value, found] = cut(trim(pair), '=');
        if (found && key === name) return fit(unquoted(value));
      }
    }
    return '';
  },
  path: (pattern, spec) => {
    const wanted = pattern.slice(1).split('/');
    if (!pattern.startsWith('/') || wanted.includes('') || wanted.filter(segment => segment === '{}').length !== 1) {
      throw new TypeError(`session source "${spec}" must be a path with one {}, as in path:/echo/*/{}`);
    }
    return ({ url }) => {
      const segments = split(url).path.slice(1).split('/');
      let id = '';
      for (const [i, want] of wanted.entries()) {
        const segment = segments[i];
        if (!segment) return '';
        if (want === '{}') id = fit(decode(segment, false));
        else if (want !== '*' && decode(segment, false) !== want) return '';
      }
      return id;
    };
  },
};

function inQuery(url, name) {
  for (const pair of split(url).query.split('&')) {
    const [key, value] = cut(pair, '=');
    if (decode(key, true) === name) return fit(decode(value, true));
  }
  return '';
}

/** Whether a target is a path and a query in which each character stands for itself, as nearly all are. */
const isPlain = url => url[0] === '/' && !url.includes('%') && !url.includes('+') && !url.includes('#');

/**
 * The same as inQuery for those, and for a name in which each character stands for
 * itself, in a quarter of the time: each request of a kept-alive connection comes by here.
 */
function inPlainQuery(url, name, known) {
  const query = url.indexOf('?');
  if (query < 0) return '';
  for (let at = url.indexOf(name, query); at >= 0; at = url.indexOf(name, at + 1)) {
    const behind = at + name.length;
    if (at - 1 !== query && url[at - 1] !== '&') continue;
    if (url[behind] === '&' || behind === url.length) return '';
    if (url[behind] !== '=') continue;
    const next = url.indexOf('&', behind);
    const end = next < 0 ? url.length : next;
    const isKnown = end - behind - 1 === known.length && url.startsWith(known, behind + 1);
    return isKnown ? known : fit(url.slice(behind + 1, end));
  }
  return '';
}

/** Splits a request target; other forms than a path and an absolute URL have neither part. */
function split(target) {
  if (!target.startsWith('/')) {
    const absolute = /^[^:]+:\/\/[^/?]*(.*)$/s.exec(target);
    if (!absolute) return { path: '', query: '' };
    target = absolute[1];
  }
  const [path, query] = cut(cut(target, '#')[0], '?');
  return { path, query };
}

function* values({ rawHeaders }, name) {
  const wanted = name.toLowerCase();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (rawHeaders[i].length === wanted.length && rawHeaders[i].toLowerCase() === wanted) yield trim(rawHeaders[i + 1]);
  }
}

/** Decodes what is percent-encoded; what is no escape stands for itself. */
function decode(text, plusIsSpace) {
  if (plusIsSpace && text.includes('+')) text = text.replaceAll('+', ' ');
  if (!text.includes('%')) return text;
  return text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}

exports.parse = parse;
