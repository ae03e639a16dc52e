// A control address of a program under test: a line goes in, a line comes back.

import net from 'node:net';

import { cleanup } from './program.js';

/** A connection that takes a line and gives a line, one after the other. */
class Lines {
  #waiting = [];
  #text = '';
  #failure;

  constructor(socket) {
    this.socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text) => {
      this.#text += text;
      for (let at; (at = this.#text.indexOf('\n')) >= 0;) {
        this.#waiting.shift()?.resolve(this.#text.slice(0, at));
        this.#text = this.#text.slice(at + 1);
      }
    });
    const lost = (error) => {
      this.#failure = error ?? new Error('the control connection was closed');
      for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
    };
    socket.on('error', lost);
    socket.on('close', () => lost());
  }

  ask(line) {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.socket.write(line + '\n');
    });
  }
}

/** Connects to a control address on this machine. */
export async function control(t, port) {
  const socket = net.connect({ host: '127.0.0.1', port });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  cleanup(t, () => socket.destroy());
  return new Lines(socket);
}
