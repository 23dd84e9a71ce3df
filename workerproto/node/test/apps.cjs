// Applications as their frameworks' documentation has them, without a word of
// stickyd. $APP says which; $PORT and $OTHER_PORT where they listen.

const { createServer } = require('node:http');

const { APP, PORT = '3000', OTHER_PORT } = process.env;
const port = Number(PORT);

/** Socket.IO on an HTTP server of any framework. */
function socketIO(server) {
  const { Server } = require('socket.io');
  const io = new Server(server);
  io.on('connection', socket => {
    socket.on('echo', (data, answer) => answer(data));
    socket.on('whoami', answer => answer({ pid: process.pid }));
    socket.on('everyone', answer => io.fetchSockets().then(all => answer(all.length)));
  });
  return io;
}

if (process.env.LOCALHOST) {
  // A machine on which localhost is two addresses, as it is on most.
  const dns = require('node:dns');
  const { lookup } = dns;
  const both = [{ address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 }];
  dns.lookup = (host, options, callback = options) => {
    if (host !== 'localhost') lookup(host, options, callback);
    else if (options.all) process.nextTick(callback, null, both);
    else process.nextTick(callback, null, both[0].address, both[0].family);
  };
}

const say = words => console.log(words.replaceAll('\n', ' '));

const apps = {
  'plain http': () => {
    const server = createServer((_, response) => response.end('hello'));
    socketIO(server);
    server.listen(port);
  },
  setupWorker: () => {
    const io = socketIO(createServer());
    io.adapter(require('@socket.io/cluster-adapter').createAdapter());
    require(process.env.STICKY).setupWorker(io);
  },
  express: () => {
    const app = require('express')();
    app.get('/', (_, response) => response.send('hello'));
    const server = createServer(app);
    socketIO(server);
    server.listen(port);
  },
  koa: () => {
    const app = new (require('koa'))();
    app.use(ctx => { ctx.body = 'hello'; });
    const server = createServer(app.callback());
    socketIO(server);
    server.listen(port);
  },
  hapi: async () => {
    const server = require('@hapi/hapi').server({ port, host: '127.0.0.1' });
    server.route({ method: 'GET', path: '/', handler: () => 'hello' });
    socketIO(server.listener);
    await server.start();
    say(`at ${server.info.uri}`);
  },
  // By default it listens on localhost, which is two servers where that is two addresses.
  fastify: async () => {
    const app = require('fastify')();
    app.get('/', async () => 'hello');
    socketIO(app.server);
    say(`at ${await app.listen({ port })}`);
  },
  nest: async () => {
    require('reflect-metadata');
    const { Controller, Get, Module } = require('@nestjs/common');
    const { NestFactory } = require('@nestjs/core');
    class Hello { get() { return 'hello'; } }
    Reflect.decorate([Get('/')], Hello.prototype, 'get', Object.getOwnPropertyDescriptor(Hello.prototype, 'get'));
    Reflect.decorate([Controller()], Hello);
    class App {}
    Reflect.decorate([Module({ controllers: [Hello] })], App);
    const app = await NestFactory.create(App, { logger: false });
    socketIO(app.getHttpServer());
    await app.listen(port);
    say(`at ${await app.getUrl()}`);
  },
  // Two servers on two ports, each with an answer of its own.
  'two ports': () => {
    for (const at of [port, Number(OTHER_PORT)]) createServer((_, response) => response.end(`${at}`)).listen(at);
  },
  'both families': () => {
    createServer((_, response) => response.end('four')).listen({ port, host: '0.0.0.0' });
    createServer((_, response) => response.end('six')).listen({ port, host: '::', ipv6Only: true });
  },
  // By itself it would be the only one on its port.
  reusePort: () => createServer((_, response) => response.end('hello')).listen({ port, reusePort: true }),
  exclusive: () => createServer((_, response) => response.end('hello')).listen({ port, exclusive: true }),

  // As the SDK's documentation has it: a transport for each session, by its id.
  mcp: () => {
    const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js');
    const { StreamableHTTPServerTransport } = require('@modelcontextprotocol/sdk/server/streamableHttp.js');
    const { randomUUID } = require('node:crypto');
    const express = require('express');
    const transports = {};
    const handle = async (request, response) => {
      const known = transports[request.headers['mcp-session-id']];
      if (known) return known.handleRequest(request, response, request.body);
      if (request.headers['mcp-session-id']) return response.status(404).json({ jsonrpc: '2.0', error: { code: -32001, message: 'Session not found' }, id: null });
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: randomUUID,
        enableJsonResponse: process.env.JSON_RESPONSE === '1',
        onsessioninitialized: id => { transports[id] = transport; },
      });
      transport.onclose = () => delete transports[transport.sessionId];
      const server = new McpServer({ name: 'test', version: '1.0.0' });
      let calls = 0;
      server.registerTool('count', {}, async () => ({ content: [{ type: 'text', text: `${++calls}` }] }));
      server.registerTool('whoami', {}, async () => ({ content: [{ type: 'text', text: `${process.pid}` }] }));
      await server.connect(transport);
      return transport.handleRequest(request, response, request.body);
    };
    express().use(express.json()).all('/mcp', handle).listen(port);
  },
  'express-session': () => {
    const express = require('express');
    const app = express();
    app.use(require('express-session')({ secret: 'of this test', resave: false, saveUninitialized: false, cookie: { maxAge: 3_600_000 } }));
    app.get('/', (request, response) => {
      request.session.count = (request.session.count ?? 0) + 1;
      response.json({ count: request.session.count, pid: process.pid });
    });
    app.get('/login', (request, response) => request.session.regenerate(() => {
      request.session.count = 100;
      response.json({ count: 100 });
    }));
    app.get('/logout', (request, response) => request.session.destroy(() => response.clearCookie('connect.sid').json({})));
    app.listen(port);
  },

  'Bun.serve': () => Bun.serve({ port: 0, fetch: () => new Response('hello') }),
  'Deno.serve': () => Deno.serve({ port: 0 }, () => new Response('hello')),

  'https': () => tls(require('node:https').createServer),
  'http2 secure': () => tls((options, listener) => require('node:http2').createSecureServer({ ...options, allowHTTP1: true }, listener)),
  'https beside http': () => {
    createServer((_, response) => response.end('plain')).listen(port);
    tls(require('node:https').createServer, Number(OTHER_PORT));
  },

  'get-port': async () => listens((await import('get-port')).default({ port })),
  'detect-port': async () => listens(require('detect-port').detectPort(port)),
  portfinder: async () => listens(require('portfinder').getPortPromise({ port })),
  // closes, and listens again
  'twice': () => {
    const server = createServer((_, response) => response.end('hello'));
    server.listen(port, () => server.close(() => server.listen(port)));
  },
  // closes when it is asked to, and listens again when a file says so
  'closes': () => {
    const { existsSync } = require('node:fs');
    const server = createServer(({ url }, response) => {
      response.end('hello');
      if (url !== '/close') return;
      server.close();
      const timer = setInterval(() => {
        if (!existsSync(process.env.AGAIN)) return;
        clearInterval(timer);
        server.listen(port);
      }, 20);
    }).listen(port);
  },

  // What servers say of their address.
  addresses: () => {
    for (const options of [{ port: 0 }, { port }, { port: Number(OTHER_PORT), host: '127.0.0.1' }]) {
      const server = createServer((_, response) => response.end('hello'));
      server.listen(options, () => say(`${JSON.stringify(options)} ${JSON.stringify(server.address())}`));
    }
  },
  'unix socket': () => {
    const { chmodSync } = require('node:fs');
    const server = createServer((_, response) => response.end('hello')).listen(PORT, () => {
      chmodSync(PORT, 0o600);
      say(`at ${server.address()}`);
    });
  },

  // It wants a socket in a directory that is root's, and then a port.
  'asks for more': () => {
    const { createServer: createNetServer } = require('node:net');
    const first = createNetServer().on('error', ({ code }) => {
      say(`refused ${code}`);
      createServer((_, response) => response.end('hello')).listen(port);
    });
    first.listen(process.env.SOCKET, () => say('allowed'));
  },

  // It speaks as Node does, and gives up what it has asked for, a little later each time.
  'restless': () => {
    const say = members => process.send({ cmd: 'NODE_CLUSTER', ...members });
    const query = seq => say({ act: 'queryServer', seq, address: '127.0.0.1', port, addressType: 4, index: 0, flags: 0, data: null });
    const close = seq => say({ act: 'close', seq: -seq, key: `127.0.0.1 4 0:${port}:${seq}` });
    let seq = 1000;
    let rounds = 0;
    process.on('internalMessage', ({ ack }) => {
      if (ack !== seq) return;
      query(seq + 1);
      for (let i = 0; i < rounds % 40; i++) say({ act: 'x', seq: -i });
      close(seq);
      close(seq + 1);
      seq += 2;
      if (++rounds < 6000) setImmediate(query, seq);
      else createServer((_, response) => response.end('hello')).listen(port);
    });
    process.on('disconnect', () => process.exit()); // it wants to live
    query(seq);
  },

  // They listen at once, and are ready when a file says so.
  'says ready': () => readyLater(server => server.listen(port), () => process.send('ready')),
  'calls ready': () => {
    const { attach, worker } = require('stickyd');
    readyLater(server => { attach(server, { holdReady: true }); say('listens'); }, () => worker.ready());
  },

  // log4js in a worker of a cluster sends each line to the primary, without a callback.
  'log4js': () => {
    const log4js = require('log4js');
    log4js.configure({ appenders: { out: { type: 'stdout' } }, categories: { default: { appenders: ['out'], level: 'info' } } });
    const log = log4js.getLogger();
    const server = createServer((_, response) => {
      response.write('begun ');
      setTimeout(() => response.end('ended'), 1500);
    });
    if (process.env.STICKY) {
      const { Server } = require('socket.io');
      require(process.env.STICKY).setupWorker(new Server(server));
    } else {
      server.listen(port);
    }
    setInterval(() => log.info('a line'), 10).unref();
  },

  // It starts programs, which say what of stickyd has reached them, and try to speak for it.
  'children': () => {
    const { fork, spawn } = require('node:child_process');
    const script = require.resolve('./child.cjs');
    createServer((_, response) => response.end('hello')).listen(port, () => {
      spawn(process.execPath, process.versions.deno ? ['run', '-A', script] : [script], { stdio: 'inherit' });
      fork(script);
    });
  },

  // An application that trusts what comes to be its own.
  'trusting': () => {
    const handlers = { reload() {} };
    process.on('message', message => handlers[message.cmd](message.args));
    const server = createServer((_, response) => response.end('hello'));
    socketIO(server);
    server.listen(port);
  },
};

function readyLater(listen, ready) {
  const { existsSync } = require('node:fs');
  const server = createServer((_, response) => response.end('hello'));
  server.once('listening', () => say('listens'));
  listen(server);
  const timer = setInterval(() => {
    if (!existsSync(process.env.GO)) return;
    clearInterval(timer);
    ready();
  }, 20);
}

async function listens(found) {
  createServer((_, response) => response.end('hello')).listen(await found, '127.0.0.1');
}

function tls(create, at = port) {
  const { readFileSync } = require('node:fs');
  const [key, cert] = ['KEY', 'CERT'].map(name => readFileSync(process.env[name]));
  create({ key, cert }, (request, response) => {
    response.setHeader('x-pid', process.pid);
    response.end(String(request.socket.isSessionReused?.()));
  }).listen(at);
}

apps[APP]();
