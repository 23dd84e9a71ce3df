// Sessions that are not Socket.IO's, with their ids elsewhere than in the query,
// on connections that carry several.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { patience, request, serve } from './harness.mjs';

for (const [sources, options] of [
  [['header:Mcp-Session-Id'], id => ({ headers: { 'mcp-session-id': id } })],
  [['cookie:sid'], id => ({ headers: { Cookie: `a=b; sid=${id}` } })],
  [['path:/echo/*/{}'], id => ({ path: `/echo/000/${id}/xhr` })],
  [['query:id'], id => ({ path: `/hub?id=${id}` })],
  [['query:sid', 'header:Mcp-Session-Id'], id => ({ headers: { 'Mcp-Session-Id': id } })], // the second
]) {
  test(`ids in ${sources}`, { timeout: patience }, async () => {
    const flags = sources.flatMap(source => ['--session', source]);
    await serve({ worker: 'own.cjs', env: { SESSION: JSON.stringify(sources) }, flags }, async server => {
      const agents = [1, 2].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
      const ask = async (id, agent, method = 'GET') => {
        const { status, body } = await request(server.url, { agent, method, ...options(id) });
        return status === 200 ? body : status;
      };
      const start = async () => {
        const id = (await request(`${server.url}/start`)).body;
        return { id, pid: await ask(id) };
      };
      const a = await start();
      let b;
      do b = await start(); while (b.pid === a.pid);
      for (const [session, agent] of [[a, 0], [b, 1], [b, 0], [a, 1], [a, 1], [a, 0], [a, 0], [b, 0], [b, 0], [a, 0]]) {
        assert.equal(await ask(session.id, agents[agent]), session.pid);
      }
      await ask(a.id, agents[0], 'DELETE');
      do { // until stickyd knows that it has ended
        assert.equal(await ask(b.id, agents[1]), b.pid);
        await request(`${server.url}/start?as=${a.id}`, { agent: agents[1] });
      } while (await ask(a.id) === 404);
      await request(`${server.url}/start?as=${a.id}`, { agent: agents[1] }); // it was perhaps refused, and is b's for sure now
      assert.equal(await ask(a.id, agents[0]), b.pid);
      for (let i = 0; i < 8; i++) assert.equal(await ask(a.id), b.pid); // on connections of their own
      await ask(a.id, agents[0], 'DELETE');
      assert.equal(await ask(a.id, agents[1]), 404);
      assert.equal(await ask(a.id), 404);
      assert.equal(await ask(b.id, agents[1]), b.pid);
      agents.forEach(agent => agent.destroy());
      const { returned } = await server.stop();
      assert.ok(returned >= 7, `${returned} connections were given back`);
    });
  });
}
