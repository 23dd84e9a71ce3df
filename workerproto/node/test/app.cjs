// What the workers serve.

const { createHash } = require('node:crypto');
const http = require('node:http');

const bytes = Buffer.alloc(1 << 20, 'x');
const held = new Map();

const routes = {
  // which worker it is, and what it got
  '/whoami': async (request, response) => {
    const hash = createHash('sha256');
    let size = 0;
    for await (const chunk of request) {
      size += chunk.length;
      hash.update(chunk);
    }
    const { method, url, headers } = request;
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify({ pid: process.pid, method, url, headers, size, hash: hash.digest('hex') }));
  },
  // an answer that ends when /release is asked for
  '/hold': (request, response) => {
    response.write('begun ');
    held.set(new URL(request.url, 'http://h').searchParams.get('name'), response);
  },
  '/release': (request, response) => {
    held.get(new URL(request.url, 'http://h').searchParams.get('name')).end('ended');
    response.end('released');
  },
  // the time each second, for as long as is asked
  '/clock': async (request, response) => {
    const seconds = Number(new URL(request.url, 'http://h').searchParams.get('seconds'));
    request.resume();
    for (let i = 0; i < seconds; i++) {
      response.write(`${i}\n`);
      await new Promise(resolve => setTimeout(resolve, 1000));
    }
    response.end('done');
  },
  // as many MiB as are asked for, as fast as the client takes them
  '/flood': async (request, response) => {
    let left = Number(new URL(request.url, 'http://h').searchParams.get('mib'));
    request.resume();
    for (; left > 0; left--) {
      if (!response.write(bytes)) await new Promise(resolve => response.once('drain', resolve));
    }
    response.end();
  },
  // the server takes no more connections
  '/close': ({ socket }, response) => {
    response.setHeader('Connection', 'close');
    response.end();
    socket.server.close();
  },
  '/leave': (request, response) => {
    response.end();
    process.exit();
  },
};

function serve(Server, setups) {
  const server = http.createServer((request, response) => {
    const route = routes[request.url.split('?', 1)[0]];
    if (route) route(request, response);
    else response.writeHead(404).end();
  });
  server.keepAliveTimeout = 0; // what is idle stays, for as long as a test takes
  const io = new Server(server, {
    allowEIO3: true, cors: { origin: 'https://example.com' }, maxHttpBufferSize: 1e8, httpCompression: false,
    httpRequestBodyTimeout: Number(process.env.BODY_TIMEOUT ?? 30_000), pingInterval: Number(process.env.PING ?? 25_000),
  });
  io.on('connection', socket => {
    let counted = 0;
    socket.on('whoami', answer => answer({ pid: process.pid }));
    socket.on('count', answer => answer(++counted));
    socket.on('later', (ms, answer) => setTimeout(answer, ms, 'later'));
    socket.on('echo', (data, answer) => answer(data));
  });
  const { SETUP, SETUP_AFTER, PORT, OTHER_PORT } = process.env;
  if (OTHER_PORT) http.createServer((request, response) => response.writeHead(404).end()).listen(Number(OTHER_PORT));
  const setup = () => {
    if (SETUP === 'listen') server.listen(Number(PORT ?? 3000));
    else (setups[SETUP] ?? setups.published)({ io, server });
  };
  if (SETUP_AFTER) setTimeout(setup, Number(SETUP_AFTER));
  else setup();
}

module.exports = { serve };
