// The last response on a connection says so, whatever way the application has with headers.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import last from '../lib/last.js';
import { patience } from './harness.mjs';

const cookies = ['Set-Cookie', 'a=1', 'Set-Cookie', 'b=2'];
const pairs = [['Set-Cookie', 'a=1'], ['Set-Cookie', 'b=2']];
const object = { 'Set-Cookie': ['a=1', 'b=2'] };

for (const [name, respond] of Object.entries({
  'no headers': response => response.end(),
  'a status alone': response => response.writeHead(200).end(),
  'its own, set before': response => response.setHeader('connection', 'keep-alive').end(),
  'its own, set before a status alone': response => response.setHeader('connection', 'keep-alive').writeHead(200).end(),
  'an object': response => response.writeHead(200, { ...object, connection: 'keep-alive' }).end(),
  'an object behind a message': response => response.writeHead(200, 'OK', { ...object, connection: 'keep-alive' }).end(),
  'an object behind no message': response => response.writeHead(200, undefined, { ...object, connection: 'keep-alive' }).end(),
  'names and values in turn': response => response.writeHead(200, [...cookies, 'connection', 'keep-alive']).end(),
  'names and values in turn, behind a message': response => response.writeHead(200, 'OK', cookies).end(),
  'pairs': response => response.writeHead(200, [...pairs, ['connection', 'keep-alive']]).end(),
  'pairs, of which nothing is left': response => response.writeHead(200, [['connection', 'keep-alive']]).end(),
  'an empty array': response => response.writeHead(200, []).end(),
  'names and values in turn, and its own set before': response => response.setHeader('connection', 'keep-alive').writeHead(200, ['X-A', 'b']).end(),
})) {
  test(name, { timeout: patience }, async () => {
    const errors = [];
    const server = http.createServer((_, response) => {
      last.makeLast(response);
      try {
        respond(response);
      } catch (err) {
        errors.push(err);
        response.destroy();
      }
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const request = http.get({ port: server.address().port, agent: new http.Agent({ keepAlive: true }) });
    try {
      const [response] = await once(request, 'response').catch(err => { throw errors[0] ?? err; });
      response.resume();
      const { rawHeaders } = response;
      const all = wanted => rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1].toLowerCase() === wanted);
      assert.deepEqual(all('connection'), ['close']);
      if (/Set-Cookie|cookies|pairs,? \.\.\.|object,/i.test(respond)) assert.deepEqual(all('set-cookie'), ['a=1', 'b=2']);
      if (/X-A/.test(respond)) assert.deepEqual(all('x-a'), ['b']);
    } finally {
      request.destroy();
      server.close();
    }
  });
}
