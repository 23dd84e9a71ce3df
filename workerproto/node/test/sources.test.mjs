// The same ids as stickyd finds, of one corpus (routing/session/session_test.go).

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import sources from '../lib/sources.js';
import { patience } from './harness.mjs';

const corpus = JSON.parse(await readFile(new URL('../../../routing/session/testdata/ids.json', import.meta.url), 'utf8'));

/** What Node makes of a request; its parser refuses some that stickyd lets through. */
async function parsed(raw) {
  const server = http.createServer();
  const request = new Promise((resolve, reject) => server.on('request', resolve).on('upgrade', resolve).on('clientError', reject));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const client = net.connect(server.address().port, '127.0.0.1');
  try {
    client.end(raw, 'latin1');
    const { method, url, rawHeaders } = await request;
    return { method, url, rawHeaders };
  } finally {
    client.destroy();
    server.close();
  }
}

for (const { name, source, line, fields, id, nodeMayRefuse } of corpus) {
  test(name, { timeout: patience }, async () => {
    const spec = Buffer.from(source, 'latin1').toString(); // as it is typed
    const request = await parsed(`${line} HTTP/1.1\r\nHost: stickyd.test\r\n${fields}\r\n`).catch(err => {
      if (!nodeMayRefuse || !/Parse Error/.test(err)) throw err;
    });
    if (request) assert.equal(sources.parse([spec])(request), id);
  });
}

test('no source', () => {
  assert.equal(sources.parse(['none'])({ url: '/?sid=a', rawHeaders: [] }), '');
});

test('the first source that has one', () => {
  const find = sources.parse(['query:sid', 'header:X']);
  assert.equal(find({ url: '/?sid=', rawHeaders: ['x', 'b'] }), 'b');
  assert.equal(find({ url: '/?sid=a', rawHeaders: ['x', 'b'] }), 'a');
});

// Behind a # there is nothing to find, but the short way is not for a target with one.
test('the short way finds what the long one does', () => {
  const random = generator(20_261_130);
  const pick = list => list[random(list.length)];
  const pieces = ['sid', 'sid=', 's', 'id', 'a=b', 'a', 'b', 'x', '=', '=', '&', '&', '&', '?', '/', '%', '+', 'si%64', 'a%3Db', ';', '\xe9'];
  const finders = ['sid', 's', 'a=b', 'a&b', 'a?', '?a', 'a+b', 'a b', '%61', 'é'].map(name => [name, sources.parse([`query:${name}`])]);
  let found = 0, last = '';
  for (let i = 0; i < 20_000; i++) {
    const url = `/${Array.from({ length: random(3) }, () => pick(pieces)).join('')}?${Array.from({ length: random(12) }, () => pick(pieces)).join('')}`;
    for (const [name, find] of finders) {
      const id = find({ url: `${url}#` });
      assert.equal(find({ url }), id, `${name} in ${url}`);
      for (const known of [id, last, 'a', 'x']) assert.equal(find({ url }, known), id, `${name} in ${url}, perhaps ${known}`);
      last = id;
      if (id !== '') found++;
    }
  }
  assert.ok(found > 500, `${found} ids`);
});

/** Numbers below a limit, the same ones each time (mulberry32). */
function generator(seed) {
  return limit => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

for (const spec of ['', 'query:', 'sid', 'body:x', 'path:x', 'path:/a', 'path:/{}/{}', 'path:/a//{}', 'none:']) {
  test(`no source: "${spec}"`, () => assert.throws(() => sources.parse([spec]), TypeError));
}
