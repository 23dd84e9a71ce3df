/**
 * What the preload puts around an application. Each part stands by itself:
 * where one finds nothing to hold on to, the application is as it was there.
 */

'use strict';

const http = require('node:http');
const Module = require('node:module');
const arrivals = require('./arrivals');
const channel = require('./channel');
const { enrollAll } = require('./engine');
const { isWatched, watch } = require('./server');
const sessions = require('./sessions');
const { parse } = require('./sources');

/** The server that listens, if one does: stickyd gives it the connections. */
let door;

let installed = false;

function install() {
  if (installed) return;
  installed = true;
  arrivals.listen();
  arrivals.setAccept(acceptUnclaimed);
  watchServers(parse(['query:sid']));
  watchLoading();
  watchAnnouncements();
  dropClosing();
}

/** Watches each HTTP server from its first connection on. */
function watchServers(find) {
  const { emit } = http.Server.prototype;
  http.Server.prototype.emit = function (event, ...args) {
    if (event === 'listening' && !hasSocket(this)) door = this;
    if (event === 'connection' && !isWatched(this)) {
      watch(this, find);
      return this.emit(event, ...args);
    }
    return emit.call(this, event, ...args);
  };
}

/** Whether a server that listens accepts by itself. What stickyd gives the connections stands on a handle without a descriptor. */
const hasSocket = ({ _handle }) => _handle?.fd >= 0;

/** Enrolls engines as soon as there are any: require is asked for engine.io also where the application imports. */
function watchLoading() {
  const load = Module._load;
  if (typeof load !== 'function') return;
  Module._load = function (request, ...rest) {
    const exported = load.call(this, request, ...rest);
    if (request === 'engine.io' || /[\\/]engine\.io[\\/]build[\\/]engine\.io\.js$/.test(request)) enrollAll(exported);
    return exported;
  };
}

/**
 * Hears what setupWorker announces. It comes after the answer, so where the
 * engine was enrolled, stickyd knows it already; elsewhere it is passed on.
 */
function watchAnnouncements() {
  process.send = function (message, ...rest) {
    const id = typeof message?.data === 'string' ? message.data : '';
    switch (message?.type) {
      case 'sticky:connection':
        if (sessions.owned.has(id)) return skip(rest);
        sessions.owned.add(id);
        break;
      case 'sticky:disconnection':
        if (channel.hasGreeted()) {
          sessions.unbind(id);
          return skip(rest);
        }
        sessions.owned.delete(id);
        break;
    }
    return channel.original(message, ...rest);
  };
}

function skip(rest) {
  const callback = rest.find(argument => typeof argument === 'function');
  if (callback) process.nextTick(callback, null);
  return true;
}

/** Sees to it that a listener which only closes each connection after its response, as @socket.io/sticky 2 adds one, is not added. */
function dropClosing() {
  const { prependListener } = http.Server.prototype;
  const closes = /^\(?\s*\w+,\s*(\w+)\s*\)?\s*=>\s*\{?\s*(?:\/\/[^\n]*\n\s*)*\1\.setHeader\(\s*(["'])Connection\2,\s*(["'])close\3\s*\);?\s*\}?$/;
  http.Server.prototype.prependListener = function (event, listener) {
    if (event === 'request' && closes.test(Function.prototype.toString.call(listener))) return this;
    return prependListener.call(this, event, listener);
  };
}

/**
 * A connection that was given back comes as setupWorker wants it. Where there
 * is none, it goes to the server that listens. Nothing is read before.
 */
function acceptUnclaimed(socket, data, probe) {
  if (probe) return;
  process.nextTick(() => {
    if (door && arrivals.isUnclaimed(socket)) arrivals.inject(door, socket, data);
  });
}

exports.install = install;
