// Requests that made HTTP servers on libwebsockets 4.1 hang, spin, or answer the wrong thing: the bridge's
// status server and hubsim answer each, or close, in bounded time and without a busy core; the next client
// is served as ever.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';

import { boilers, bridge, cleanup, hub, parts, token, until } from './lib/index.js';

const QUERY = '?api-version=2021-04-12';
const QUIET_MS = 300; // processor time that a second of doing nothing may cost (the build has sanitizers)

/** Processor time that a program has used, in milliseconds. */
function processorTime(program) {
  const fields = fs.readFileSync(`/proc/${program.pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10; // utime and stime, at 100 ticks a second
}

/** An HTTP server under test: raw connections to it, and whether it is well. */
class Server {
  constructor(t, program, connect, headers) {
    Object.assign(this, { t, program, connect, headers });
  }

  /** A request as bytes. */
  request(method, where, { body, headers = [], length = body !== undefined } = {}) {
    const lines = [`${method} ${where} HTTP/1.1`, ...this.headers, ...headers];
    if (length) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
    return `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`;
  }

  /**
   * Writes pieces (texts; numbers are pauses in ms) on one connection and gathers what comes until the end, or
   * until `quiet` ms after the last piece. Gives { text, statuses, closed }.
   */
  async say(pieces, { quiet = 1000, ...options } = {}) {
    const socket = await this.connect(options);
    let text = '';
    let closed = false;
    socket.setEncoding('latin1');
    socket.on('error', () => {});
    socket.on('data', (more) => text += more);
    const end = new Promise((resolve) => socket.on('close', () => resolve(closed = true)));
    cleanup(this.t, () => socket.destroy());
    for (const piece of [pieces].flat()) {
      if (typeof piece === 'number') await sleep(piece);
      else if (!closed) socket.write(piece);
    }
    await Promise.race([end, sleep(quiet)]);
    socket.destroy();
    return { text, closed, statuses: [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map((match) => Number(match[1])) };
  }

  /** Afterwards: no busy core, and the next one is served. */
  async well(where, status = 200) {
    const before = processorTime(this.program);
    await sleep(1000);
    const used = processorTime(this.program) - before;
    assert.ok(used < QUIET_MS, `${used} ms of processor time in a second of silence`);
    assert.deepEqual((await this.say(this.request('GET', where, { headers: ['Connection: close'] }), { quiet: 5000 })).statuses, [status]);
    assert.equal(this.program.exit, null);
  }
}

function opened(socket, event) {
  return new Promise((resolve, reject) => {
    socket.once(event, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** hubsim with the module gateway-01/heating. */
async function hubServer(t) {
  const iot = await hub(t);
  await iot.create('gateway-01', 'heating');
  const { HostName, SharedAccessKey } = parts(iot.policies.iothubowner);
  const connect = (options) => opened(tls.connect({ host: '127.0.0.1', port: iot.port, servername: 'localhost', ca: iot.ca,
    ...options }), 'secureConnect');
  const made = new Server(t, iot.program, connect, [`Host: ${HostName}`, 'If-Match: "*"', 'Content-Type: application/json',
    `Authorization: ${token(HostName, SharedAccessKey, { policy: 'iothubowner' })}`]);
  made.iot = iot;
  made.twin = `/twins/gateway-01/modules/heating${QUERY}`;
  made.tags = async () => (await iot.twin('gateway-01', 'heating')).tags;
  made.fine = () => made.well(made.twin);
  return made;
}

/** The status server of a bridge whose hub and devices are not there. */
async function statusServer(t) {
  const gateway = await bridge(t, { hub: { host: 'localhost', port: 1, caFile: '/etc/ssl/certs/ca-certificates.crt' },
    ports: { plant: 1 }, mapping: boilers({ 'boiler-7': 1 }), provision: false });
  const { port } = new URL(gateway.url);
  const made = new Server(t, gateway.program, () => opened(net.connect(Number(port), '127.0.0.1'), 'connect'), ['Host: localhost']);
  made.fine = () => made.well('/healthz');
  return made;
}

describe('HTTP', { concurrency: 4 }, () => {
  test('large bodies over TLS: hubsim takes them whole, in one write or in many', async (t) => {
    const server = await hubServer(t);

    for (const size of [1000, 4096, 5000, 9000, 16384, 40000, 65536, 200000, 256 * 1024]) {
      const start = `{"tags":{"size":${size}}`;
      const request = server.request('PATCH', server.twin, { body: start + ' '.repeat(size - start.length - 1) + '}',
        headers: ['Connection: close'] });
      const begun = performance.now();
      assert.deepEqual((await server.say(request, { quiet: 10000 })).statuses, [200], `${size} bytes`);
      assert.ok(performance.now() - begun < 3000, `${size} bytes in time`);
      assert.equal((await server.tags()).size, size);
    }
    const body = `{"tags":{"pieces":1}${' '.repeat(50000)}}`;
    const request = server.request('PATCH', server.twin, { body, headers: ['Connection: close'] });
    const pieces = [];
    for (let at = 0; at < request.length; at += 1717) pieces.push(request.slice(at, at + 1717), 2);
    assert.deepEqual((await server.say(pieces, { quiet: 10000 })).statuses, [200]);
    const large = server.request('PATCH', server.twin, { body: ' '.repeat(256 * 1024 + 1), headers: ['Connection: close'] });
    assert.deepEqual((await server.say(large, { quiet: 10000 })).statuses, [413]);
    await server.fine();
  });

  test('large bodies: the status server refuses them', async (t) => {
    const server = await statusServer(t);

    for (const size of [1, 5000, 65536, 1000000]) {
      const { statuses, closed } = await server.say(server.request('POST', '/api/status', { body: 'x'.repeat(size) }), { quiet: 5000 });
      assert.ok(closed, `${size} bytes: closed`);
      assert.ok(statuses.length <= 1 && statuses.every((status) => status === 405), `${size} bytes: ${statuses}`);
    }
    await server.fine();
  });

  test('a PATCH behind a GET in one write: hubsim answers both, and says of the second that it is not done', async (t) => {
    const server = await hubServer(t);
    const get = server.request('GET', server.twin);
    const patch = server.request('PATCH', server.twin, { body: '{"tags":{"behind":1}}' });

    for (const [name, bytes, want] of [
      ['GET, PATCH', get + patch, [200, 503]],
      ['PATCH, PATCH', server.request('PATCH', server.twin, { body: '{"tags":{"first":1}}' }) + patch, [200, 503]],
      ['GET, PATCH, GET', get + patch + get, [200, 503]],
      ['GET, PATCH without its body', get + patch.slice(0, -21), [200, 503]],
      ['GET, DELETE with a body', get + server.request('DELETE', `/devices/gateway-01${QUERY}`, { body: '{"a":1}' }), [200, 503]],
      ['GET, PUT of one byte', get + server.request('PUT', server.twin, { body: '1' }), [200, 503]],
    ]) {
      const before = processorTime(server.program);
      const { statuses, text, closed } = await server.say(bytes);
      assert.deepEqual(statuses, want, name);
      assert.ok(processorTime(server.program) - before < QUIET_MS, `${name}: no busy core`);
      if (want.length === 2) {
        assert.ok(closed, `${name}: closed`);
        assert.match(text.slice(text.indexOf('HTTP/1.1 503')), /^connection: close\r$/im, name);
      }
    }
    assert.deepEqual(await server.tags(), { first: 1 }, 'nothing of a second request was done');
    for (const [name, bytes, want] of [
      ['GET, GET', get + get, [200, 200]],
      ['PATCH, GET', patch + get, [200, 200]],
      ['five GETs', get.repeat(5), [200, 200, 200, 200, 200]],
    ])
      assert.deepEqual((await server.say(bytes)).statuses, want, name);
    assert.deepEqual(await server.tags(), { first: 1, behind: 1 });
    await server.fine();
  });

  test('a PUT behind a GET in one write: the status server answers the first, says so, and closes', async (t) => {
    const server = await statusServer(t);
    const get = server.request('GET', '/healthz');

    for (const second of [server.request('PUT', '/api/status', { body: '{"a":1}' }), get, get.slice(0, 20), 'x'.repeat(10000)]) {
      const before = processorTime(server.program);
      const { statuses, text, closed } = await server.say(get + second);
      assert.deepEqual(statuses, [200]);
      assert.match(text, /^connection: close\r$/im);
      assert.ok(closed);
      assert.ok(processorTime(server.program) - before < QUIET_MS, 'no busy core');
    }
    await server.fine();
  });

  test('bytes behind a body', async (t) => {
    const server = await hubServer(t);

    for (const more of ['\r\n', '\r\n\r\n', 'x', '{"tags":{"b":2}}', '\0'.repeat(5000)]) {
      const before = processorTime(server.program);
      const { statuses } = await server.say(server.request('PATCH', server.twin, { body: '{"tags":{"a":1}}' }) + more);
      assert.ok(statuses.length <= 2 && (statuses[0] ?? 200) === 200 && (statuses[1] ?? 400) >= 400, `${JSON.stringify(more.slice(0, 9))}: ${statuses}`);
      assert.ok(processorTime(server.program) - before < QUIET_MS, 'no busy core');
    }
    assert.deepEqual(await server.tags(), { a: 1 });
    await server.fine();
  });

  test('a chunked request is refused, in either server, and its chunks are no requests', async (t) => {
    const [hubsim, status] = await Promise.all([hubServer(t), statusServer(t)]);
    const chunks = '10\r\n{"tags":{"a":1}}\r\n0\r\n\r\n';
    const headers = ['Transfer-Encoding: chunked'];

    for (const pieces of [(head) => [head + chunks], (head) => [head, 50, chunks]]) {
      const hubs = await hubsim.say(pieces(hubsim.request('PATCH', hubsim.twin, { headers })));
      assert.deepEqual([hubs.statuses, hubs.closed], [[411], true]);
      const ours = await status.say(pieces(status.request('PUT', '/api/status', { headers })));
      assert.deepEqual([ours.statuses, ours.closed], [[405], true]);
    }
    assert.deepEqual(await hubsim.tags(), {});
    await Promise.all([hubsim.fine(), status.fine()]);
  });

  test('a PUT, POST or PATCH without Content-Length does not swallow the next request', async (t) => {
    const [hubsim, status] = await Promise.all([hubServer(t), statusServer(t)]);

    for (const method of ['PUT', 'POST', 'PATCH']) {
      const hubs = await hubsim.say([hubsim.request(method, hubsim.twin), 100, hubsim.request('GET', hubsim.twin)]);
      assert.equal(hubs.statuses.length, 1, `${method}: ${hubs.text}`);
      assert.ok(hubs.statuses[0] >= 400);
      assert.ok(hubs.closed);
      assert.match(hubs.text, /^connection: close\r$/im);
      const ours = await status.say([status.request(method, '/api/status'), 100, status.request('GET', '/healthz')]);
      assert.deepEqual([ours.statuses, ours.closed], [[405], true], method);
    }
    const empty = await hubsim.say([hubsim.request('PATCH', hubsim.twin, { body: '' }), 100, hubsim.request('GET', hubsim.twin)]);
    assert.deepEqual(empty.statuses, [400, 200], 'a length of 0 is a length');
    await Promise.all([hubsim.fine(), status.fine()]);
  });

  test('six seconds between two pieces of a request, and between two requests', async (t) => {
    const [hubsim, status] = await Promise.all([hubServer(t), statusServer(t)]);
    const patch = hubsim.request('PATCH', hubsim.twin, { body: '{"tags":{"slow":1}}' });
    const get = status.request('GET', '/api/status');
    const stalled = await status.connect();
    cleanup(t, () => stalled.destroy());
    stalled.pause();
    stalled.write(status.request('GET', '/'));

    const [head, body, gap, ours] = await Promise.all([
      hubsim.say([patch.slice(0, 30), 6000, patch.slice(30)], { quiet: 3000 }),
      hubsim.say([patch.slice(0, -5), 6000, patch.slice(-5)], { quiet: 3000 }),
      hubsim.say([hubsim.request('GET', hubsim.twin), 6000, hubsim.request('GET', hubsim.twin)], { quiet: 3000 }),
      status.say([get.slice(0, 10), 6000, get.slice(10)], { quiet: 3000 }),
    ]);
    assert.deepEqual([head.statuses, body.statuses, gap.statuses, ours.statuses], [[200], [200], [200, 200], [200]]);
    let page = '';
    stalled.setEncoding('utf8');
    stalled.on('data', (more) => page += more);
    stalled.resume();
    await new Promise((resolve) => stalled.on('close', resolve));
    assert.match(page, /<\/html>\s*$/, 'a page that was not read for six seconds is whole');
    await Promise.all([hubsim.fine(), status.fine()]);
  });

  test('headers of many sizes: served, or closed, and never half understood', async (t) => {
    const [hubsim, status] = await Promise.all([hubServer(t), statusServer(t)]);

    for (const [server, where, served] of [[hubsim, hubsim.twin, 12000], [status, '/healthz', 2000]]) {
      for (const size of [100, 2000, 5000, 12000, 17000, 40000, 70000]) {
        const { statuses, closed } = await server.say(
          server.request('GET', where, { headers: [`X-Long: ${'x'.repeat(size)}`, 'Connection: close'] }), { quiet: 5000 });
        assert.ok(closed, `${size}: closed`);
        if (size <= served) assert.deepEqual(statuses, [200], `${size} is served`);
        else assert.ok(statuses.every((code) => code === 200 || code === 431), `${size}: ${statuses}`);
      }
      const many = Array.from({ length: 90 }, (_, i) => `X-${i}: ${i}`);
      assert.deepEqual((await server.say(server.request('GET', where, { headers: [...many, 'Connection: close'] }), { quiet: 5000 })).statuses, [200]);
      const path = await server.say(server.request('GET', `/${'a'.repeat(3000)}`, { headers: ['Connection: close'] }), { quiet: 5000 });
      assert.ok(path.closed && path.statuses.every((code) => code >= 400), `${path.statuses}`);
      await server.fine();
    }
  });

  test('HTTP/2 is not spoken, whoever offers it', async (t) => {
    const [hubsim, status] = await Promise.all([hubServer(t), statusServer(t)]);
    const socket = await hubsim.connect({ ALPNProtocols: ['h2', 'http/1.1'] });
    cleanup(t, () => socket.destroy());
    const upgrade = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'];
    const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0';

    assert.equal(socket.alpnProtocol, 'http/1.1');
    for (const [server, where] of [[hubsim, hubsim.twin], [status, '/healthz']]) {
      for (const bytes of [server.request('GET', where, { headers: upgrade }), preface]) {
        const { text, closed, statuses } = await server.say(bytes, { quiet: 3000 });
        assert.ok(closed || statuses[0] === 200, 'closed, or answered as if not asked');
        assert.doesNotMatch(text, /101 Switching/);
      }
      await server.fine();
    }
  });

  test('methods that nobody knows', async (t) => {
    const [hubsim, status] = await Promise.all([hubServer(t), statusServer(t)]);

    for (const method of ['BREW', 'TRACE', 'CONNECT', 'G', 'X'.repeat(300), 'GET GET']) {
      for (const [server, where] of [[hubsim, hubsim.twin], [status, '/healthz']]) {
        const { statuses, closed } = await server.say(server.request(method, where), { quiet: 3000 });
        assert.ok(closed || statuses.length > 0, `${method.slice(0, 9)}: an answer or the end`);
        assert.ok(statuses.every((code) => code >= 400), `${method.slice(0, 9)}: ${statuses}`);
      }
    }
    const head = await status.say(status.request('HEAD', '/healthz'));
    assert.deepEqual([head.statuses, head.text.split('\r\n\r\n')[1]], [[200], ''], 'HEAD has no body');
    await Promise.all([hubsim.fine(), status.fine()]);
  });

  test('paths with %2F, ; and & in them are no other paths', async (t) => {
    const [hubsim, status] = await Promise.all([hubServer(t), statusServer(t)]);
    const served = async (server, method, where) =>
      (await server.say(server.request(method, where, { headers: ['Connection: close'] }), { quiet: 3000 })).statuses;

    for (const name of ['gateway-01;x', 'gateway-01&x', 'gateway-01;', 'gateway-01;/modules/heating'])
      assert.deepEqual(await served(hubsim, 'DELETE', `/devices/${name}${QUERY}`), [400], name);
    for (const name of ['gateway-01%00', '%zz', 'gateway-01%3bx', 'gateway-01%2', '%2e%2e/gateway-02', 'gateway-01%20'])
      assert.ok((await served(hubsim, 'DELETE', `/devices/${name}${QUERY}`)).every((code) => code >= 400), name);
    assert.deepEqual(await served(hubsim, 'GET', hubsim.twin), [200], 'nothing was deleted');
    assert.deepEqual(await served(status, 'GET', '/healthz'), [200]);
    for (const path of ['/healthz%2F', '/healthz%2Fx', '/api%2Fstatus%00', '/%2e%2e/etc/passwd', '/api/status/../../x', '//x'])
      assert.ok((await served(status, 'GET', path)).every((code) => code >= 400), path);
    await Promise.all([hubsim.fine(), status.fine()]);
  });

  test('a hundred requests on one connection, and requests that end in the middle', async (t) => {
    const server = await hubServer(t);
    const socket = await server.connect();
    cleanup(t, () => socket.destroy());
    let text = '';
    socket.setEncoding('latin1');
    socket.on('data', (more) => text += more);

    for (let i = 1; i <= 100; i++) {
      socket.write(i % 2 ? server.request('GET', server.twin) : server.request('PATCH', server.twin, { body: `{"tags":{"i":${i}}}` }));
      await until(() => [...text.matchAll(/HTTP\/1\.1 200/g)].length === i, { every: 1, what: `answer ${i}` })
        .catch((error) => assert.fail(`${error.message}; ${text.slice(-600)}`));
    }
    assert.equal((await server.tags()).i, 100);
    for (let i = 0; i < 30; i++) {
      const broken = await server.connect();
      const request = server.request('PATCH', server.twin, { body: '{"tags":{"i":1}}' });
      broken.on('error', () => {});
      broken.write(request.slice(0, Math.floor(request.length * i / 30)));
      await sleep(2);
      broken.destroy();
    }
    assert.equal((await server.tags()).i, 100);
    await server.fine();
  });
});
