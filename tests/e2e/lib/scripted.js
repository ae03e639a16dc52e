// A server that plays a script: for each address the answers that come one after the other, good ones and the
// kinds that no good server gives. Over TLS with a certificate of its own, or plain for what is plain by nature.

import http from 'node:http';
import https from 'node:https';

import { certificate } from './certificate.js';
import { cleanup } from './program.js';

/** Pieces of a body, each after `ms`. */
async function drip(response, pieces, ms) {
  for (const piece of pieces) {
    await new Promise((resolve) => setTimeout(resolve, ms));
    if (response.destroyed) return;
    response.write(piece);
  }
  response.end();
}

/**
 * One step of a script. A function answers by itself (request, response, body). Otherwise an object:
 *   status, headers, body   the answer; an object as body is sent as JSON
 *   cut: N                  the connection ends after N bytes of the body, which was announced whole
 *   chunked: true           with `cut`: the body was not announced but sent in chunks
 *   lost: true              the request is read, and the connection ends without an answer
 *   hang: true              nothing ever comes
 *   drip: MS                a byte of the body every MS
 */
function play(step, request, response, body) {
  if (typeof step === 'function') return step(request, response, body);
  if (step.hang) return undefined;
  if (step.lost) return void response.socket.destroy();
  const json = typeof step.body === 'object' && !Buffer.isBuffer(step.body);
  const content = Buffer.from(json ? JSON.stringify(step.body) : step.body ?? '');
  const headers = { ...(json ? { 'Content-Type': 'application/json; charset=utf-8' } : {}), ...step.headers };
  if (!step.chunked) headers['Content-Length'] = content.length;
  response.writeHead(step.status ?? 200, headers);
  if (step.drip) return void drip(response, [...content].map((byte) => Buffer.from([byte])), step.drip);
  if (step.cut === undefined) return void response.end(content);
  response.write(content.subarray(0, step.cut), () => response.socket.destroy());
  return undefined;
}

class Scripted {
  #routes = [];

  constructor(server, scheme, caFile) {
    this.server = server;
    this.scheme = scheme;
    this.caFile = caFile;
    this.requests = []; // { method, url, headers, body } as they came
  }

  get port() {
    return this.server.address().port;
  }

  get url() {
    return `${this.scheme}://${this.scheme === 'http' ? '127.0.0.1' : 'localhost'}:${this.port}`;
  }

  /** What `method` (or any, "*") on an address that `pattern` matches is answered: the steps in turn, the last for ever. */
  on(method, pattern, ...steps) {
    this.#routes.unshift({ method, pattern, steps });
    return this;
  }

  /** Those that came of a method, or to addresses that a pattern matches. */
  of(what) {
    return this.requests.filter(({ method, url }) => (what instanceof RegExp ? what.test(url) : method === what));
  }

  /** Forgets the script and what came. */
  clear() {
    this.#routes = [];
    this.requests.length = 0;
    return this;
  }

  answer(request, response, body) {
    this.requests.push({ method: request.method, url: request.url, headers: request.headers, body });
    const route = this.#routes.find(({ method, pattern }) =>
      (method === '*' || method === request.method) && pattern.test(request.url));
    if (route === undefined) {
      response.writeHead(418);
      return void response.end('the script has no such address');
    }
    return play(route.steps.length > 1 ? route.steps.shift() : route.steps[0], request, response, body);
  }
}

/**
 * Starts one on a port of the system's choice. `tls` false: plain HTTP. `identity`: { key, cert, caFile } in the place
 * of a certificate for localhost; `options` go to node's server.
 */
export async function scripted(t, { tls = true, identity, options = {} } = {}) {
  const own = tls ? identity ?? certificate(t) : {};
  let script;
  const listener = (request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', () => script.answer(request, response, Buffer.concat(chunks).toString('utf8')));
  };
  const server = tls ? https.createServer({ key: own.key, cert: own.cert, ...options }, listener)
    : http.createServer(options, listener);
  server.on('tlsClientError', () => {});
  script = new Scripted(server, tls ? 'https' : 'http', own.caFile);
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return script;
}

/**
 * A proxy for CONNECT. `judge(request)` gives the status for a request (200 lets it through to `port` on this machine);
 * `asked` collects { url, authorization }.
 */
export async function connectProxy(t, port, judge = () => 200) {
  const net = await import('node:net');
  const asked = [];
  const server = http.createServer((request, response) => {
    asked.push({ url: request.url, authorization: request.headers['proxy-authorization'] });
    response.writeHead(502).end('this proxy only connects');
  });
  server.on('connect', (request, socket) => {
    asked.push({ url: request.url, authorization: request.headers['proxy-authorization'] });
    socket.on('error', () => {});
    const status = judge(request);
    if (status !== 200) {
      const challenge = status === 407 ? 'Proxy-Authenticate: Basic realm="p"\r\n' : '';
      socket.end(`HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\n${challenge}Content-Length: 0\r\n\r\n`);
      return;
    }
    const onward = net.connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('close', () => onward.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanup(t, () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { asked, address: `127.0.0.1:${server.address().port}` };
}
