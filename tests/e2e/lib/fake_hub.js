// A hub that goes silent where a test wants it: TLS, WebSocket and MQTT in just enough words.

import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

import { fakeHttps } from './fake_https.js';
import { cleanup, folder } from './program.js';

const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'; // RFC 6455 section 1.3
const NAMES = { 1: 'CONNECT', 3: 'PUBLISH', 8: 'SUBSCRIBE', 12: 'PINGREQ', 14: 'DISCONNECT' };

/** The payloads of the whole frames of a client at the front of `bytes`, and what is left. */
function unframe(bytes) {
  const payloads = [];
  for (;;) {
    let head = 2;
    let length = bytes.length >= 2 ? bytes[1] & 0x7f : 0;
    if (length === 126) {
      head = 4;
      length = bytes.length >= 4 ? bytes.readUInt16BE(2) : 0;
    }
    if (bytes.length < head + 4 + length) return { payloads, rest: bytes };
    const mask = bytes.subarray(head, head + 4);
    const payload = Buffer.from(bytes.subarray(head + 4, head + 4 + length));
    for (let i = 0; i < payload.length; i++) payload[i] ^= mask[i % 4];
    if ((bytes[0] & 0x0f) === 2) payloads.push(payload);
    bytes = bytes.subarray(head + 4 + length);
  }
}

/** A WebSocket frame around these bytes; `first` is its first byte (0x82 = a whole binary message). */
export function frame(bytes, first = 0x82) {
  const { length } = bytes;
  const head = length < 126 ? [length] : length < 65536 ? [126, length >> 8, length & 0xff] :
    [127, 0, 0, 0, 0, length >>> 24, (length >> 16) & 0xff, (length >> 8) & 0xff, length & 0xff];
  return Buffer.from([first, ...head, ...bytes]);
}

/**
 * Starts it. `answer(name, packet)` gives the MQTT packet (a list of bytes) that answers one of the client,
 * or nothing. Upgrades are answered unless `upgrade` is false. `heard` has the names of the client's
 * packets; `credentials(module)` makes a folder with a credential that fits; `write(bytes)` puts bytes as
 * they are into the connection that came last.
 */
export async function fakeHub(t, answer, { upgrade = true } = {}) {
  const heard = [];
  let last;
  const web = await fakeHttps(t, (request, response) => response.writeHead(404).end());
  web.server.on('upgrade', (request, socket) => {
    heard.push('upgrade');
    cleanup(t, () => socket.destroy()); // no connection of the HTTP server's any more
    socket.on('error', () => {});
    last = socket;
    if (!upgrade) return;
    const accept = crypto.createHash('sha1').update(request.headers['sec-websocket-key'] + MAGIC).digest('base64');
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`);
    let bytes = Buffer.alloc(0);
    socket.on('data', (more) => {
      const { payloads, rest } = unframe(Buffer.concat([bytes, more]));
      bytes = rest;
      for (const payload of payloads) {
        const name = NAMES[payload[0] >> 4] ?? `packet ${payload[0] >> 4}`;
        heard.push(name);
        const packet = answer(name, payload);
        if (packet) socket.write(frame(packet));
      }
    });
  });
  return {
    host: 'localhost',
    port: web.port,
    caFile: web.caFile,
    heard,
    write: (bytes) => last.write(bytes),
    credentials(module) {
      const dir = folder(t);
      fs.writeFileSync(path.join(dir, module), `HostName=localhost;DeviceId=gateway-01;ModuleId=${module};` +
        `SharedAccessKey=${crypto.randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
      return dir;
    },
  };
}
