// A Modbus/TCP client that can say anything, for tests of servers.

import net from 'node:net';

import { cleanup } from './program.js';

export class ModbusClient {
  #answers = [];
  #bytes = Buffer.alloc(0);
  #waiting = null;
  #transaction = 0;

  constructor(socket) {
    this.socket = socket;
    this.closed = false;
    socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      this.#bytes = Buffer.concat([this.#bytes, bytes]);
      while (this.#bytes.length >= 6 && this.#bytes.length >= 6 + this.#bytes.readUInt16BE(4)) {
        const length = 6 + this.#bytes.readUInt16BE(4);
        this.#answers.push(this.#bytes.subarray(0, length));
        this.#bytes = this.#bytes.subarray(length);
      }
      this.#waiting?.();
    });
    socket.on('close', () => {
      this.closed = true;
      this.#waiting?.();
    });
  }

  /** The bytes of a request of its own transaction; `pdu` is a list of bytes. */
  frame(unit, pdu) {
    const frame = Buffer.alloc(7 + pdu.length);
    frame.writeUInt16BE(++this.#transaction, 0);
    frame.writeUInt16BE(pdu.length + 1, 4);
    frame.writeUInt8(unit, 6);
    Buffer.from(pdu).copy(frame, 7);
    return frame;
  }

  /** The next answer as { transaction, unit, pdu }, or null when the time is over or the end has come. */
  async next(timeout = 5000) {
    if (this.#answers.length === 0 && !this.closed) {
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, timeout);
        this.#waiting = () => {
          if (this.#answers.length === 0 && !this.closed) return;
          clearTimeout(timer);
          resolve();
        };
      });
      this.#waiting = null;
    }
    const frame = this.#answers.shift();
    return frame === undefined ? null :
      { transaction: frame.readUInt16BE(0), unit: frame[6], pdu: [...frame.subarray(7)] };
  }

  /** Sends a request; gives the bytes of the answer's PDU, or null. */
  async ask(unit, pdu, timeout) {
    this.socket.write(this.frame(unit, pdu));
    return (await this.next(timeout))?.pdu ?? null;
  }
}

/** A client that is connected to 127.0.0.1:port. */
export async function modbusClient(t, port) {
  const socket = net.connect({ host: '127.0.0.1', port });
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  cleanup(t, () => socket.destroy());
  return new ModbusClient(socket);
}
