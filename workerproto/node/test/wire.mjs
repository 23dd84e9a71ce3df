// A client that decides when each byte goes.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { patience } from './harness.mjs';

export class Wire {
  static async connect(server) {
    const socket = net.connect({ port: server.port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    return new Wire(socket);
  }

  #got = Buffer.alloc(0);
  #changed = () => {};
  ended = false;

  constructor(socket) {
    this.socket = socket;
    const end = () => { this.ended = true; this.#changed(); };
    socket.on('data', data => { this.#got = Buffer.concat([this.#got, data]); this.#changed(); }).on('end', end).on('error', end);
  }

  // send resolves when the kernel has the bytes.
  send(bytes) {
    return new Promise(resolve => this.socket.write(bytes, resolve));
  }

  async #until(find) {
    const late = AbortSignal.timeout(patience);
    for (;;) {
      const found = find();
      if (found !== undefined) return found;
      assert.ok(!this.ended, `the connection ended, after ${this.#got}`);
      await new Promise((resolve, reject) => {
        this.#changed = resolve;
        late.onabort = () => reject(new Error(`nothing came after ${this.#got}`));
      });
    }
  }

  async #take(n) {
    await this.#until(() => (this.#got.length >= n ? n : undefined));
    const taken = this.#got.subarray(0, n);
    this.#got = this.#got.subarray(n);
    return taken;
  }

  async line() {
    const at = await this.#until(() => { const at = this.#got.indexOf('\r\n'); return at < 0 ? undefined : at; });
    return (await this.#take(at + 2)).latin1Slice(0, at);
  }

  async head() {
    const status = Number((await this.line()).split(' ')[1]);
    const headers = {};
    for (let line; (line = await this.line()) !== '';) {
      const colon = line.indexOf(':');
      headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    return { status, headers };
  }

  // chunk resolves to a chunk of a body, '' at its end.
  async chunk() {
    const data = await this.#take(parseInt(await this.line(), 16));
    await this.line();
    return data.toString();
  }

  // answer resolves to a whole response.
  async answer() {
    const { status, headers } = await this.head();
    let body = '';
    if (headers['content-length']) body = (await this.#take(Number(headers['content-length']))).toString();
    else if (headers['transfer-encoding']) for (let chunk; (chunk = await this.chunk()) !== '';) body += chunk;
    return { status, headers, body };
  }

  take(n) { return this.#take(n); }
  close() { this.socket.destroy(); }
}
