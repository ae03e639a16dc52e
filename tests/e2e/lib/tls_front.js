// A TLS server of a test's own certificate in front of a hub: what a wrong certificate looks like to a
// bridge, and how it is when it was put right.

import tls from 'node:tls';

import { cleanup } from './program.js';

/** Starts it in front of `hub` with { key, cert }; present() takes another certificate from then on. */
export async function tlsFront(t, hub, { key, cert }) {
  const sockets = new Set();
  const server = tls.createServer({ key, cert }, (outside) => {
    const inside = tls.connect({ host: '127.0.0.1', port: hub.port, servername: hub.host, ca: hub.ca });
    for (const [one, other] of [[outside, inside], [inside, outside]]) {
      sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  let refused = 0;
  server.on('tlsClientError', () => refused++);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(t, () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return {
    port: server.address().port,
    present: ({ key: newKey, cert: newCert }) => server.setSecureContext({ key: newKey, cert: newCert }),
    /** Handshakes that did not come to an end. */
    get refused() {
      return refused;
    },
  };
}
