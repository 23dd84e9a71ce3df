// The same ids as stickyd finds (routing/session/session_test.go).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import sources from '../lib/sources.js';

const uuid = '0b5e7f0a-9d0c-4f6e-8a55-2a3c1c5d9b11';
for (const [spec, url, rawHeaders, want] of [
  ['query:sid', '/socket.io/?EIO=4&transport=polling&t=P7&sid=aB3_-xYz0123456789AA', [], 'aB3_-xYz0123456789AA'],
  ['query:sid', `/ws?sid=${uuid}`, [], uuid],
  ['query:sid', '/socket.io/?EIO=4&transport=polling', [], ''],
  ['query:sid', '/?xsid=a&mysid=b&sidx=c', [], ''],
  ['query:sid', '/?x=sid=a&y=?sid=b', [], ''],
  ['query:sid', '/sid=a/&sid=b', [], ''],
  ['query:sid', '/?x=1#&sid=a', [], ''],
  ['query:sid', '/?sid=a&sid=b', [], 'a'],
  ['query:sid', '/?s%69d=a%2Fb+c%2b%zz', [], 'a/b c+%zz'],
  ['query:sid', 'http://h/?sid=a', [], 'a'],
  ['query:sid', 'http://h?sid=a', [], 'a'],
  ['query:sid', '*', [], ''],
  ['query:sid', `/?sid=${'a'.repeat(256)}`, [], 'a'.repeat(256)],
  ['query:sid', `/?sid=${'a'.repeat(257)}`, [], ''],
  ['header:Mcp-Session-Id', '/', ['mcp-session-id', ' a '], 'a'],
  ['header:Mcp-Session-Id', '/', ['mcp-session-id', '', 'MCP-SESSION-ID', 'b'], 'b'],
  ['header:Mcp-Session-Id', '/', ['Mcp-Session-Id2', 'a'], ''],
  ['cookie:io', '/', ['Cookie', 'a=io=1; io=x; io=y'], 'x'],
  ['cookie:io', '/', ['Cookie', 'a=1', 'cookie', 'io="x"'], 'x'],
  ['cookie:io', '/', ['Cookie', 'ioo=x; Io=y'], ''],
  ['path:/echo/*/{}', '/echo/000/abc%20d/xhr?x', [], 'abc d'],
  ['path:/echo/*/{}', '/echo/000', [], ''],
  ['path:/echo/*/{}', '/other/000/abc', [], ''],
  ['path:/echo/*/{}', '/echo//abc', [], ''],
  ['none', '/?sid=a', [], ''],
]) {
  test(`${spec} in ${url} ${rawHeaders}`, () => assert.equal(sources.parse([spec])({ url, rawHeaders }), want));
}

test('the first source that has one', () => {
  const find = sources.parse(['query:sid', 'header:X']);
  assert.equal(find({ url: '/?sid=', rawHeaders: ['x', 'b'] }), 'b');
  assert.equal(find({ url: '/?sid=a', rawHeaders: ['x', 'b'] }), 'a');
});

for (const spec of ['', 'query:', 'sid', 'body:x', 'path:x', 'path:/a', 'path:/{}/{}', 'path:/a//{}', 'none:']) {
  test(`no source: "${spec}"`, () => assert.throws(() => sources.parse([spec]), TypeError));
}
