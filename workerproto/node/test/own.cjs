// A server with sessions of its own, whose ids stand where $SESSION says, a list
// in JSON. It answers with its pid, 404 for a session that it does not have.
// /start begins one, with a certain id where there is ?as=ID.

const { randomUUID } = require('node:crypto');
const http = require('node:http');
const { attach, bind, unbind } = require('stickyd');

const sessions = new Set();

const server = http.createServer(async (request, response) => {
  const { url, method, headers, socket } = request;
  if (url.startsWith('/start')) {
    const id = /\?as=(.+)/.exec(url)?.[1] ?? randomUUID();
    if (sessions.has(id)) unbind(id); // it begins anew
    await bind(id, socket);
    sessions.add(id);
    response.end(id);
    return;
  }
  const id = [...sessions].find(id => `${url} ${headers.cookie} ${headers['mcp-session-id']}`.includes(id));
  if (id && method === 'DELETE') {
    sessions.delete(id);
    unbind(id);
  }
  response.writeHead(id ? 200 : 404).end(String(process.pid));
});
if (process.env.SETUP === 'listen') server.listen(3000);
else attach(server, { session: JSON.parse(process.env.SESSION) });
