// Connections that carry several sessions, as browsers' tabs and proxies make
// them.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { freePort, handshake, nodes, patience, polling, request, serve, sessionsApart, ways } from './harness.mjs';

const swapped = async server => {
  const sessions = await sessionsApart(server);
  const agents = sessions.map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  const post = (i, j) => request(`${server.url}${polling}&sid=${sessions[i].sid}`, { agent: agents[j], method: 'POST', body: '40' });
  const statuses = [await post(0, 0), await post(1, 1), await post(0, 1), await post(1, 0)].map(({ status }) => status);
  agents.forEach(agent => agent.destroy());
  return statuses;
};

test('two agents that swap sessions: 400 with the published 1.0.4 alone', { timeout: patience }, () =>
  serve({ SETUP: 'sticky-1', flags: ['--node-preload', 'off'] }, async server => assert.deepEqual(await swapped(server), [200, 200, 400, 400])));

for (const SETUP of ['sticky-1', '@socket.io/sticky', 'listen']) {
  test(`two agents that swap sessions: 200 with no flag, ${SETUP}`, { timeout: patience }, () =>
    serve({ SETUP }, async server => assert.deepEqual(await swapped(server), [200, 200, 200, 200])));
}

for (const [version, node] of Object.entries(nodes)) {
  describe(version, () => {
    for (const [name, way] of Object.entries(ways)) {
      test(`two agents that swap sessions: 200 with ${name}`, { timeout: patience }, () =>
        serve({ ...way, node }, async server => assert.deepEqual(await swapped(server), [200, 200, 200, 200])));
    }
  });
}

for (const name of ['attach(io)', 'the preload and @socket.io/sticky 2.0.1', 'the preload and a server that listens']) {
  test(`two agents that swap sessions: 200 beside another server, ${name}`, { timeout: patience }, async () => {
    const [PORT, OTHER_PORT] = [await freePort(), await freePort()];
    await serve({ ...ways[name], env: { PORT, OTHER_PORT }, flags: ['-l', `127.0.0.1:${PORT}`] }, async server => {
      assert.deepEqual(await swapped(server), [200, 200, 200, 200]);
      assert.equal((await request(`http://127.0.0.1:${OTHER_PORT}`)).status, 404);
    });
  });
}

test('two agents that swap sessions: 200 with a server that listens long after another', { timeout: patience }, async () => {
  const [PORT, OTHER_PORT] = [await freePort(), await freePort()];
  const env = { PORT, OTHER_PORT, SETUP_AFTER: 3000 };
  await serve({ ...ways['the preload and a server that listens'], env, flags: ['-l', `127.0.0.1:${PORT}`] }, async server => {
    await server.until(events => events.filter(({ msg }) => msg.startsWith('a server of the worker gets connections no longer')).length === 3);
    assert.deepEqual(await swapped(server), [200, 200, 200, 200]);
  });
});

for (const way of ['attach(io)', 'the preload and @socket.io/sticky 1.0.4', 'the preload and @socket.io/sticky 2.0.1']) {
  test(`50 sessions over an nginx with 5 connections, ${way}`, { timeout: 2 * patience }, () =>
    serve(ways[way], async server => {
      await throughNginx(server, async proxy => {
        const rounds = 20;
        const failed = [];
        await Promise.all(Array.from({ length: 50 }, async () => {
          const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
          const sid = await handshake(proxy, { agent });
          const url = `${proxy.url}${polling}&sid=${sid}`;
          const say = async options => {
            const { status, body } = await request(url, { agent, ...options });
            if (status !== 200) failed.push(body);
            return body;
          };
          await say({ method: 'POST', body: '40' });
          await say();
          for (let i = 1; i <= rounds; i++) {
            await say({ method: 'POST', body: `42${i}["count"]` });
            assert.equal(await say(), `43${i}[${i}]`);
          }
          agent.destroy();
        }));
        assert.deepEqual(failed, []);
      });
      // How many connections nginx keeps depends on how many requests it has at a
      // time; but were none kept, there would be one for each request.
      const requests = 50 * (3 + 2 * 20);
      const { accepted, returned } = await server.stop();
      assert.ok(returned > 50 && accepted < requests, `${accepted} connections, ${returned} given back`);
    }));
}

// throughNginx runs test with an nginx in front of a server.
async function throughNginx(server, test) {
  const dir = await mkdtemp(join(tmpdir(), 'stickyd-nginx-'));
  const port = await freePort();
  await writeFile(join(dir, 'nginx.conf'), `
    daemon off; master_process off; pid ${dir}/pid; error_log stderr;
    events {}
    http {
      access_log off;
      client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
      fastcgi_temp_path ${dir}/a; uwsgi_temp_path ${dir}/b; scgi_temp_path ${dir}/c;
      upstream workers { server 127.0.0.1:${server.port}; keepalive 5; }
      server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://workers; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_next_upstream off; }
      }
    }`);
  const nginx = spawn(nginxPath(), ['-p', dir, '-c', join(dir, 'nginx.conf')], { stdio: ['ignore', 'inherit', 'inherit'] });
  const exited = once(nginx, 'exit');
  try {
    const url = `http://127.0.0.1:${port}`;
    while (!await request(url).catch(() => null)) assert.equal(nginx.exitCode, null);
    await test({ url });
  } finally {
    nginx.kill();
    await exited;
    await rm(dir, { recursive: true });
  }
}

const nginxPath = () => execFileSync('sh', ['-c', 'PATH=$PATH:/usr/sbin command -v nginx'], { encoding: 'utf8' }).trim();
