// A Socket.IO worker that does what tests ask for. $SETUP says how it comes to
// its connections: "attach", "attach-http", "listen", or the name of a
// published library with setupWorker.

const { Server } = require('socket.io');
const { serve } = require('./app.cjs');

serve(Server, {
  attach: ({ io }) => require('stickyd').attach(io),
  'attach-http': ({ server }) => require('stickyd').attach(server),
  published: ({ io }) => require(process.env.SETUP).setupWorker(io),
});
