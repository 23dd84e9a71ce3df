// A plain HTTP server, as a worker of Node's cluster module. It knows nothing
// of stickyd.

const cluster = require('node:cluster');
const http = require('node:http');

const server = http.createServer(async (request, response) => {
  if (request.url === '/leave') {
    response.end('leaving');
    cluster.worker.disconnect();
    return;
  }
  if (request.url === '/slow') await new Promise(resolve => setTimeout(resolve, 1500));
  const body = [];
  for await (const chunk of request) body.push(chunk);
  response.setHeader('X-Pid', process.pid);
  response.end(Buffer.concat(body));
});
server.listen(Number(process.env.PORT), process.env.HOST, () => console.log('address', JSON.stringify(server.address())));
