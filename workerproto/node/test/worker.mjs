// The same as worker.cjs, as an ES module.

import sticky from '@socket.io/sticky';
import { Server } from 'socket.io';
import { attach } from 'stickyd';
import app from './app.cjs';

app.serve(Server, {
  attach: ({ io }) => attach(io),
  'attach-http': ({ server }) => attach(server),
  published: ({ io }) => sticky.setupWorker(io),
});
