// Sessions of applications that know nothing of stickyd, whose ids stand in a header
// or a cookie: each stays at its worker from the response that names it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { app, patience, request } from './harness.mjs';

const n = 20;
const each = run => Promise.all(Array.from({ length: n }, (_, i) => run(i)));

// ended resolves when all workers have, to how many sessions they took along.
async function ended(server) {
  await server.stop();
  return server.events.filter(({ msg }) => msg === 'worker stopped').reduce((sum, { sessions_lost: lost }) => sum + lost, 0);
}

for (const JSON_RESPONSE of ['0', '1']) {
  test(`MCP, ${JSON_RESPONSE === '1' ? 'responses in JSON' : 'streamed responses'}`, { timeout: patience }, () =>
    app('mcp', { workers: 3, flags: ['--session', 'header:Mcp-Session-Id'], env: { JSON_RESPONSE } }, async ({ server, url }) => {
      const pids = new Set();
      await each(async () => {
        const client = new Client({ name: 'test', version: '1.0.0' });
        const transport = new StreamableHTTPClientTransport(new URL('/mcp', url));
        await client.connect(transport);
        const call = async name => (await client.callTool({ name })).content[0].text;
        for (let i = 1; i <= 5; i++) assert.equal(await call('count'), `${i}`);
        pids.add(await call('whoami'));
        await transport.terminateSession(); // DELETE
        await client.close();
      });
      assert.equal(pids.size, 3);
      assert.equal(await ended(server), 0);
    }));
}

// A visitor keeps the cookie that it was given.
function visitor(url) {
  let cookie;
  return async path => {
    const { status, body, headers } = await request(url + path, { headers: cookie ? { cookie } : {} });
    assert.equal(status, 200, body);
    const [set] = headers['set-cookie'] ?? [];
    if (set) cookie = set.split(';')[0];
    return JSON.parse(body);
  };
}

test('express-session', { timeout: patience }, () =>
  app('express-session', { workers: 3, flags: ['--session', 'cookie:connect.sid'] }, async ({ server, url }) => {
    const pids = new Set();
    await each(async i => {
      const get = visitor(url);
      for (let i = 1; i <= 5; i++) {
        const { count, pid } = await get('/');
        assert.equal(count, i);
        pids.add(pid);
      }
      await get('/login'); // has another id
      for (let i = 101; i <= 105; i++) assert.equal((await get('/')).count, i);
      if (i > 0) await get('/logout');
    });
    assert.equal(pids.size, 3);
    const lost = await ended(server);
    assert.ok(lost >= 1 && lost <= n + 1, `${lost} sessions`); // one that goes on, and ids that others have replaced
  }));
