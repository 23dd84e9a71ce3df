// @socket.io/cluster-adapter across workers, with stickyd in its primary's
// place.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask, Clients, libraries, patience, pidOf, start, upgraded } from './harness.mjs';

const workers = 3;

for (const [name, env, flags] of [
  ['@socket.io/cluster-adapter 0.3.0', libraries, []],
  ['@socket.io/cluster-adapter 0.2.2', { ...libraries, ADAPTER: 'cluster-adapter-0.2' }, []],
  ['@socket.io/cluster-adapter 0.3.0, serialized as JSON', libraries, ['--serialization', 'json']],
]) {
  describe(name, () => {
    let server, clients;
    let all; // one client in each worker, by slot
    before(async () => {
      server = await start({ workers, env, flags: ['--balance', 'round-robin', ...flags] });
      clients = new Clients(server);
    }, { timeout: 180_000 });
    after(() => server?.stop(), { timeout: patience });

    // everywhere connects one client in each worker, and waits until the
    // workers' adapters know each other.
    async function everywhere() {
      all = await clients.connectMany(workers, { transports: ['websocket'] });
      assert.equal(new Set(await Promise.all(all.map(pidOf))).size, workers);
      const late = Date.now() + patience;
      for (const client of all) {
        while ((await ask(client, 'serverPing', 0)).length !== workers - 1) assert.ok(Date.now() < late, 'adapters do not meet');
      }
      all.forEach(client => {
        client.news = [];
        client.on('news', (...args) => client.news.push(args));
      });
    }
    const heard = () => all.map(({ news }) => news.length);
    const settle = () => sleep(300);

    afterEach(() => clients.close());

    test('a broadcast reaches everybody once', { timeout: patience }, async () => {
      await everywhere();
      const binary = flags.length ? 'no Buffers in JSON' : Buffer.from([0, 1, 254, 255]);
      await Promise.all(all.map(client => ask(client, 'broadcast', '', 'hello', { deep: [{ binary }] })));
      await settle();
      assert.deepEqual(heard(), [3, 3, 3]);
      for (const { news } of all) for (const args of news) assert.deepEqual(args, ['hello', { deep: [{ binary }] }]);
    });

    test('a large broadcast arrives whole', { timeout: patience }, async () => {
      await everywhere();
      const text = 'жx'.repeat(1_500_000);
      await ask(all[1], 'broadcast', '', text);
      await Promise.all(all.map(async client => client.news.length || await once(client, 'news', { signal: AbortSignal.timeout(patience) })));
      for (const { news } of all) assert.deepEqual(news, [[text]]);
    });

    test('rooms span workers', { timeout: patience }, async () => {
      await everywhere();
      await ask(all[0], 'join', 'r');
      await ask(all[1], 'joinAll', all[2].id, 'r');
      await settle();
      await ask(all[1], 'broadcast', 'r', 1);
      await settle();
      assert.deepEqual(heard(), [1, 0, 1]);
      await ask(all[0], 'leaveAll', 'r');
      await settle();
      await ask(all[1], 'broadcast', 'r', 2);
      await settle();
      assert.deepEqual(heard(), [1, 0, 1]);
    });

    test('fetchSockets finds everybody', { timeout: patience }, async () => {
      await everywhere();
      await Promise.all(all.map((client, i) => ask(client, 'name', `client ${i}`)));
      const ids = all.map(({ id }) => id).sort();
      for (const client of all) {
        const found = await ask(client, 'fetch', '');
        assert.deepEqual(found.map(({ id }) => id).sort(), ids);
        assert.deepEqual(found.map(({ data }) => data.name).sort(), ['client 0', 'client 1', 'client 2']);
      }
    });

    test('serverSideEmit is answered by the other workers', { timeout: patience }, async () => {
      await everywhere();
      const pids = await Promise.all(all.map(pidOf));
      for (const [i, client] of all.entries()) {
        const answers = await ask(client, 'serverPing', i);
        assert.deepEqual(answers.map(({ pid }) => pid).sort(), pids.filter(pid => pid !== pids[i]).sort());
        assert.ok(answers.every(({ number }) => number === i));
      }
    });

    test('a broadcast with acknowledgements gets them all', { timeout: patience }, async () => {
      await everywhere();
      all.forEach((client, i) => client.on('question', answer => answer(`answer ${i}`)));
      assert.deepEqual(await ask(all[2], 'broadcastAck', ''), ['answer 0', 'answer 1', 'answer 2']);
    });

    test('disconnectSockets reaches other workers', { timeout: patience }, async () => {
      await everywhere();
      const reason = once(all[2], 'disconnect', { signal: AbortSignal.timeout(patience) });
      await ask(all[0], 'kick', all[2].id);
      assert.deepEqual((await reason)[0], 'io server disconnect');
      assert.ok(all[0].connected && all[1].connected);
    });

    test('the others go on when a worker is killed, and its heir joins them', { timeout: patience }, async () => {
      await everywhere();
      const victim = await pidOf(all[0]);
      const reconnected = once(all[0].io, 'reconnect', { signal: AbortSignal.timeout(patience) });
      process.kill(victim, 'SIGKILL');
      await server.until(events => events.find(({ msg, pid }) => msg === 'worker died' && pid === victim));
      if (!env.ADAPTER.endsWith('0.2')) { // that one counts on its own time limits for what is on its way
        const began = Date.now();
        const found = await ask(all[1], 'fetch', '');
        assert.ok(Date.now() - began < 3000, 'it waited for the dead worker');
        assert.ok(found.some(({ id }) => id === all[2].id), JSON.stringify(found));
      }
      await reconnected;
      await server.until(() => server.readyWorkers().length >= workers + 1);
      clients.close();
      await everywhere();
      await ask(all[1], 'broadcast', '', 'again');
      await settle();
      assert.deepEqual(heard(), [1, 1, 1]);
      assert.equal((await ask(all[1], 'fetch', '')).length, workers);
      for (const client of all) await upgraded(client);
    });
  });
}
