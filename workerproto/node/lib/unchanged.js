/**
 * What the preload puts around an application. Each part stands by itself:
 * where one finds nothing to hold on to, the application is as it was there.
 */

'use strict';

const cluster = require('node:cluster');
const http = require('node:http');
const Module = require('node:module');
const net = require('node:net');
const arrivals = require('./arrivals');
const bun = require('./bun');
const channel = require('./channel');
const deno = require('./deno');
const { enrollAll } = require('./engine');
const { waitsInVain } = require('./learn');
const { isWatched, watch } = require('./server');
const sessions = require('./sessions');
const { parse } = require('./sources');
const { hideFromChildren, runtime, settings } = require('./worker');

/** The servers that listen without a socket of their own, by the key that stickyd has given each. */
const doors = new Map();

let installed = false;

/** preload is the path of the script that stickyd has this process load, if it is that. */
function install(preload) {
  if (installed) return;
  installed = true;
  hideFromChildren(preload);
  beWorker();
  letScriptsEnd();
  const find = parse(settings.session);
  channel.greet({ late: waitsInVain(find) });
  sessions.listen();
  arrivals.listen();
  arrivals.setAccept((socket, data, key) => {
    const server = runtime === 'bun' ? bun.server(key) : doors.get(key);
    if (server) arrivals.inject(server, socket, data);
    else socket.destroy();
  });
  watchServers(find);
  watchListening();
  watchAnswers();
  watchLoading();
  watchAdoption();
  watchAnnouncements();
  keepOpen();
  if (runtime === 'bun') bun.install();
  if (runtime === 'deno') deno.install();
}

/** Does what Node leaves out where it has no script, as with -e: it takes no such program for a worker. */
function beWorker() {
  if (runtime !== 'node' || cluster.worker || typeof cluster._setupWorker !== 'function') return;
  cluster._setupWorker();
  delete process.env.NODE_UNIQUE_ID;
}

/**
 * Lets a program end that serves nobody and has nothing to do any more, such as one
 * that builds what the next one serves: a worker of a cluster lives for as long as
 * its channel does. One that wants to listen, or hears messages, is waited for.
 */
function letScriptsEnd() {
  if (runtime !== 'node' || typeof process.channel?.unref !== 'function') return;
  process.channel.unref();
  process.on('newListener', event => {
    if (event === 'message' || event === 'disconnect') process.channel?.ref();
  });
}

/** Watches each HTTP server from its first connection on, and counts the connections of others. */
function watchServers(find) {
  const kinds = [net.Server.prototype];
  if (!(http.Server.prototype instanceof net.Server)) kinds.push(http.Server.prototype); // in Bun
  for (const prototype of kinds) {
    const { emit } = prototype;
    const watching = function (event, ...args) {
      if (event === 'connection' && !isWatched(this)) {
        if (!(this instanceof http.Server)) {
          arrivals.claim(args[0]);
        } else {
          watch(this, find, this.emit === watching ? emit : this.emit);
          return this.emit(event, ...args);
        }
      }
      return emit.call(this, event, ...args);
    };
    prototype.emit = watching;
  }
}

/**
 * A server that wants its port to itself would listen by itself, and no other
 * worker could. Under stickyd the port is shared, as by other servers. (A port
 * that the system chooses is each worker's own.)
 */
function watchListening() {
  const { listen } = net.Server.prototype;
  net.Server.prototype.listen = function (options, ...rest) {
    if (typeof options === 'object' && options !== null && (options.exclusive || options.reusePort) && Number(options.port) > 0) {
      options = { ...options, exclusive: false, reusePort: false };
    }
    return listen.call(this, options, ...rest);
  };
}

/** Learns which server has which key: stickyd says it, and then Node lets that server listen. */
function watchAnswers() {
  const { _getServer } = cluster;
  if (typeof _getServer !== 'function') return;
  let answer;
  channel.overhear(message => { answer = message; });
  cluster._getServer = function (server, query, callback) {
    process.channel?.ref(); // nothing else waits for the answer
    return _getServer.call(this, server, query, (error, ...rest) => {
      const key = answer?.key;
      if (!error && key !== undefined) {
        doors.set(key, server);
        server.once('close', () => doors.delete(key));
      }
      return callback(error, ...rest);
    });
  };
}

/**
 * Enrolls engines as soon as there are any: require is asked for packages also
 * where the application imports. In Bun it does not ask Module._load.
 */
function watchLoading() {
  const [owner, name] = runtime === 'bun' ? [Module.prototype, 'require'] : [Module, '_load'];
  const load = owner[name];
  if (typeof load !== 'function') return;
  owner[name] = function (request, ...rest) {
    const exported = load.call(this, request, ...rest);
    if (request === 'engine.io' || /[\\/]engine\.io[\\/]build[\\/]engine\.io\.js$/.test(request)) enrollAll(exported);
    if (!adopted && /(^|[\\/])@socket\.io[\\/]sticky([\\/]|$)/.test(request)) channel.send('expects');
    return exported;
  };
}

let adopted = false;

/** Says when setupWorker is called, of @socket.io/sticky or of what does the same: it listens for connections. */
function watchAdoption() {
  process.on('newListener', (event, listener) => {
    if (adopted || event !== 'message' || !Function.prototype.toString.call(listener).includes('sticky:connection')) return;
    adopted = true;
    channel.send('adopts');
  });
}

/**
 * Hears what setupWorker announces. It comes after the answer, so where the
 * engine was enrolled, stickyd knows it already.
 */
function watchAnnouncements() {
  process.send = function (message, ...rest) {
    const id = typeof message?.data === 'string' ? sessions.bytesOf(message.data) : '';
    switch (message?.type) {
      case 'sticky:connection':
        if (!sessions.owned.has(id)) sessions.own(id);
        return skip(rest);
      case 'sticky:disconnection':
        sessions.disown(id);
        return skip(rest);
    }
    return channel.original(message, ...rest);
  };
}

function skip(rest) {
  const callback = rest.find(argument => typeof argument === 'function');
  if (callback) process.nextTick(callback, null);
  return true;
}

/**
 * Calls a listener that only closes each connection after its response, as
 * @socket.io/sticky 2 adds one, where the connection ends anyway, and nowhere else. (It
 * could be left out there as well, but Node 24 takes some 4 % more CPU to add the header
 * by itself.)
 */
function keepOpen() {
  const { prependListener } = http.Server.prototype;
  const closes = /^\(?\s*\w+,\s*(\w+)\s*\)?\s*=>\s*\{?\s*(?:\/\/[^\n]*\n\s*)*\1\.setHeader\(\s*(["'])Connection\2,\s*(["'])close\3\s*\);?\s*\}?$/;
  http.Server.prototype.prependListener = function (event, listener) {
    if (event !== 'request' || !closes.test(Function.prototype.toString.call(listener))) return prependListener.call(this, event, listener);
    return prependListener.call(this, event, (request, response) => { // without .listener: engine.io moves what listeners() returns
      if (!response.shouldKeepAlive) listener(request, response);
    });
  };
}

exports.install = install;
