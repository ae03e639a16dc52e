// An HTTPS server that answers what a test wants: the answers that no good hub gives.

import https from 'node:https';

import { certificate } from './certificate.js';
import { cleanup } from './program.js';

/**
 * Starts it with a certificate of its own for localhost. `answer(request, response, body)` is called for
 * each request; `requests` collects them as { method, url, headers, body }; `server` is node's.
 */
export async function fakeHttps(t, answer) {
  const { key, cert, caFile } = certificate(t);
  const requests = [];
  const server = https.createServer({ key, cert }, (request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      requests.push({ method: request.method, url: request.url, headers: request.headers, body });
      answer(request, response, body);
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { server, port: server.address().port, caFile, requests };
}
