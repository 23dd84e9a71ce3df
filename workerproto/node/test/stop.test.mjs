// How a worker ends.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { io } from 'socket.io-client';
import { app, handshake, patience, polling, request, start, ways } from './harness.mjs';
import { Wire } from './wire.mjs';

for (const [name, way] of Object.entries(ways)) {
  test(`idle connections keep no worker alive, ${name}`, { timeout: patience }, async () => {
    const server = await start({ ...way, flags: ['--drain-timeout', '24h'] }); // stop has less patience
    const agent = new http.Agent({ keepAlive: true });
    await Promise.all(Array.from({ length: 6 }, () => request(`${server.url}/whoami`, { agent })));
    await server.stop();
    assert.doesNotMatch(server.log, /SIGKILL|SIGTERM/);
    agent.destroy();
  });

  test(`sessions that poll keep no worker alive, ${name}`, { timeout: patience }, async () => {
    const server = await start({ ...way, env: { PING: 3_600_000 }, flags: ['--drain-timeout', '24h'] });
    const connect = async transport => {
      const client = io(server.url, { forceNew: true, reconnection: false, transports: [transport], agent: new http.Agent({ keepAlive: true }) });
      client.reason = new Promise(resolve => client.on('disconnect', resolve));
      await once(client, 'connect');
      return client;
    };
    const polls = await Promise.all(Array.from({ length: 6 }, () => connect('polling')));
    const socket = await connect('websocket');
    const sid = await handshake(server); // nobody polls it
    const upload = await Wire.connect(server);
    await upload.send(`POST ${polling}&sid=${sid} HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n4`);
    const underWay = polls[0].emitWithAck('later', 500);
    await polls[0].emitWithAck('count'); // what was said before has been heard
    await sleep(100); // and it polls again
    const stopped = server.stop();
    assert.equal(await underWay, 'later');
    const reasons = await Promise.all(polls.map(({ reason }) => reason));
    assert.deepEqual(reasons.slice(1), polls.slice(1).map(() => 'transport close')); // the first has tried to poll again
    await sleep(500);
    await upload.send('0');
    assert.equal((await upload.answer()).status, 200);
    assert.equal(await socket.emitWithAck('count'), 1); // that may take its time
    socket.disconnect();
    await stopped;
    assert.doesNotMatch(server.log, /SIGKILL/);
    [socket, ...polls].forEach(({ io }) => io.opts.agent.destroy());
  });
}

for (const [name, options] of Object.entries({
  'setupWorker of 1.0.4': { env: { STICKY: 'sticky-1' }, listen: '127.0.0.1:0', flags: ['--node-preload', 'off'] },
  'setupWorker of 2.0.1, and the preload': { env: { STICKY: '@socket.io/sticky' }, listen: '127.0.0.1:0' },
  'a server that listens, without the preload': { listen: '127.0.0.1:0', flags: ['--node-preload', 'off'] },
})) {
  test(`a worker that finishes may send messages, ${name}`, { timeout: patience }, () =>
    app('log4js', { ...options, flags: [...options.flags ?? [], '--drain-timeout', '10s'] }, async ({ server }) => {
      const open = http.get(server.url, { agent: false });
      const [response] = await once(open, 'response');
      response.setEncoding('utf8');
      const stopped = server.stop();
      assert.equal((await response.toArray()).join(''), 'begun ended');
      await stopped;
      assert.doesNotMatch(server.log, /ERR_IPC_CHANNEL_CLOSED|worker died/);
    }));
}
