// When sessions are forgotten that responses have told of.

import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { after, mock, test } from 'node:test';
import connections from '../lib/connections.js';
import learning from '../lib/learn.js';
import sessions from '../lib/sessions.js';
import sources from '../lib/sources.js';

mock.timers.enable({ apis: ['setInterval', 'Date'], now: 1_800_000_000_000 });
after(() => mock.timers.reset());

const { owned } = sessions;
const find = sources.parse(['cookie:s']);
const minute = 60_000;

// respond answers a request that carries an id, or none, with headers.
function respond(carried, headers = {}, socket = null, message = []) {
  const rawHeaders = carried ? ['Cookie', `s=${carried}`] : [];
  const response = { getHeader: () => undefined, writeHead: () => response };
  learning.learn(find, { socket, method: 'GET', url: '/', rawHeaders }, response);
  response.writeHead(200, ...message, headers);
}

const gives = (id, attributes = '') => ({ 'set-cookie': `s=${id}${attributes}` });

test('one that no request has carried is forgotten after ten minutes', () => {
  respond(undefined, gives('bot'));
  respond(undefined, gives('rememberedBot', '; Max-Age=9999999'));
  respond(undefined, gives('short', '; Max-Age=60'));
  mock.timers.tick(2 * minute);
  assert.ok(owned.has('bot'));
  assert.ok(!owned.has('short'));
  mock.timers.tick(9 * minute);
  assert.ok(!owned.has('bot'));
  assert.ok(!owned.has('rememberedBot'));
});

test('one that a request has carried is kept for a day after each', () => {
  respond(undefined, gives('user'));
  mock.timers.tick(9 * minute);
  respond('user');
  mock.timers.tick(24 * 60 * minute - minute);
  assert.ok(owned.has('user'));
  respond('user', gives('user')); // says it again
  mock.timers.tick(24 * 60 * minute - minute);
  assert.ok(owned.has('user'));
  mock.timers.tick(2 * minute);
  assert.ok(!owned.has('user'));
});

test('one that a request brings along and a response confirms has been carried', () => {
  respond('mine', gives('mine'));
  mock.timers.tick(60 * minute);
  assert.ok(owned.has('mine'));
  respond('mine', gives('', '; Max-Age=0'));
  assert.ok(!owned.has('mine'));
});

test('of those that no request has carried the oldest are forgotten', () => {
  respond(undefined, gives('first'));
  respond(undefined, gives('second'));
  respond(undefined, gives('carried'));
  respond('carried');
  respond(undefined, gives('first')); // is younger than the second now
  const most = 100_000;
  for (let i = 0; i < most - 1; i++) respond(undefined, gives(`many-${i}`));
  assert.ok(owned.has('carried'));
  assert.ok(!owned.has('second'));
  assert.ok(owned.has('first'));
  assert.equal(owned.size, most + 1);
  respond(undefined, gives('one more'));
  assert.ok(!owned.has('first'));
  assert.equal(owned.size, most + 1);
  mock.timers.tick(11 * minute);
  assert.deepEqual([...owned.keys()], ['carried']);
});

test('only a response on a connection that came through stickyd is held back', () => {
  const socket = () => Object.assign(new EventEmitter(), { corked: 0, cork() { this.corked++; } });
  const [injected, known] = [socket(), socket()];
  respond(undefined, gives('without a socket'), undefined);
  respond(undefined, gives('injected'), injected);
  connections.open(known, { session: false, injected: 0 });
  respond(undefined, gives('known'), known);
  assert.deepEqual([injected.corked, known.corked], [0, 1]);
  for (const id of ['without a socket', 'injected', 'known']) assert.ok(owned.has(id), id);
});

test('headers are found behind a message, and behind none', () => {
  respond(undefined, gives('behind a message'), null, ['OK']);
  respond(undefined, gives('behind none'), null, [undefined]);
  for (const id of ['behind a message', 'behind none']) assert.ok(owned.has(id), id);
});
