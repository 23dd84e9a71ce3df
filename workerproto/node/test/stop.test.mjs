// How a worker ends.

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { patience, request, start, ways } from './harness.mjs';

for (const [name, way] of Object.entries(ways)) {
  test(`idle connections keep no worker alive, ${name}`, { timeout: patience }, async () => {
    const server = await start({ ...way, flags: ['--drain-timeout', '24h'] }); // stop has less patience
    const agent = new http.Agent({ keepAlive: true });
    await Promise.all(Array.from({ length: 6 }, () => request(`${server.url}/whoami`, { agent })));
    await server.stop();
    assert.doesNotMatch(server.log, /SIGKILL|SIGTERM/);
    agent.destroy();
  });
}
