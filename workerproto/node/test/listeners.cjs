// A server that says how many listen to what comes from stickyd.

const http = require('node:http');

http.createServer((_, response) => {
  response.end(String(process.listenerCount('internalMessage')));
}).listen(3000);
