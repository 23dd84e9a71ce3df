// The same as CommonJS.

import http = require('node:http');
import net = require('node:net');
import stickyd = require('stickyd');
import { attach, bind, unbind, worker } from 'stickyd';
import { Server } from 'socket.io';

const httpServer = http.createServer();
const io = new Server(httpServer);

if (!attach(io)) httpServer.listen(3000);
const options: stickyd.AttachOptions = { session: ['none'], holdReady: true };
stickyd.attach(httpServer, options);
stickyd.bind('id').then(() => stickyd.unbind('id'));
bind('id', new net.Socket()).then(() => unbind('id'));
worker.draining.then(({ limit }: stickyd.DrainNotice) => limit.toFixed());
const self: stickyd.Worker = worker;
self.on('drain', notice => notice.limit.toFixed());
self.once('finish', ({ deadline }) => deadline.toISOString());
worker.ready();
worker.finishing.then(({ limit }) => limit.toFixed());

// @ts-expect-error what is no server
stickyd.attach({});
