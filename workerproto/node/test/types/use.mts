// All that the documentation shows, as an ES module. It is compiled, not run.

import { createServer } from 'node:http';
import sticky, { attach, bind, unbind, worker } from 'stickyd';
import type { AttachOptions, DrainNotice, SocketIOServer, Worker } from 'stickyd';
import { Server } from 'socket.io';

const httpServer = createServer(async (request, response) => {
  await bind('id', request.socket);
  await bind('id');
  unbind('id');
  response.end();
});
const io = new Server(httpServer);

if (!attach(io)) httpServer.listen(3000);
const options: AttachOptions = { session: ['header:Mcp-Session-Id', 'query:sid'] };
const attached: boolean = attach(httpServer, options);
const structural: SocketIOServer = io;
sticky.attach(structural, {});

const slots: [number, number, boolean] = [worker.slot, worker.slots, worker.supervised];
worker.on('drain', ({ limit }) => console.log(limit.toFixed(), slots, attached));
worker.once('drain', (notice: DrainNotice) => console.log(notice));
const { limit }: DrainNotice = await worker.draining;
const self: Worker = worker;
console.log(self.drain?.limit, limit);

// @ts-expect-error what is no server
attach({});
// @ts-expect-error sources are a list
attach(io, { session: 'query:sid' });
// @ts-expect-error an id is a string
await bind(7);
// @ts-expect-error it is told, not set
worker.slot = 3;
// @ts-expect-error there may have been none
worker.drain.limit;
