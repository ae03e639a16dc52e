// What watches the bridge: /api/status with the keys that scripts rely on, the health probes, the page; and
// a server that stays calm whatever it is sent.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { boilers, bridge, cleanup, hub, plant, run, until } from './lib/index.js';

const UNITS = { 'boiler-7': 7, 'boiler-8': 8 };
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

async function system(t, { units = UNITS, ...options } = {}) {
  const iot = await hub(t);
  const site = await plant(t, units);
  const gateway = await bridge(t, { hub: iot, ports: site.ports, mapping: boilers(units, options) });
  await gateway.ready();
  await until(async () => (await gateway.status()).tags.every((tag) => tag.quality === 'good'), { what: 'values' });
  return { iot, site, gateway };
}

/** One request with any method; gives { status, headers, text }. */
function ask(gateway, method, where, { body, headers } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(gateway.url + where, { method, headers, agent: false, timeout: 5000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (more) => text += more);
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
    });
    request.on('timeout', () => request.destroy(new Error(`${method} ${where}: no answer in 5 s`)));
    request.on('error', reject);
    request.end(body);
  });
}

/** Sends bytes on a connection of their own; gives what comes back until the end or until 10 s are over. */
function send(t, gateway, bytes) {
  const url = new URL(gateway.url);
  return new Promise((resolve) => {
    let answer = '';
    const socket = net.connect(Number(url.port), url.hostname, () => socket.write(bytes));
    cleanup(t, () => socket.destroy());
    socket.setTimeout(10000, () => socket.destroy());
    socket.setEncoding('latin1');
    socket.on('data', (more) => answer += more);
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
  });
}

/** Processor time that the bridge has used, in milliseconds. */
function processorTime(gateway) {
  const fields = fs.readFileSync(`/proc/${gateway.program.pid}/stat`, 'latin1').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10; // utime and stime, at 100 ticks a second
}

const text = (value) => typeof value === 'string';
const number = (value) => typeof value === 'number' && value >= 0;
const count = (value) => Number.isInteger(value) && value >= 0;
const truth = (value) => typeof value === 'boolean';
const time = (value) => TIME.test(value);
const list = (value) => Array.isArray(value);
const or = (one, other) => (value) => other(value) || one(value);
const none = (value) => value === null;
const among = (...words) => (value) => words.includes(value);

const SHAPES = {
  document: { name: text, version: text, started: time, uptime_s: count, ready: truth,
    connections: list, devices: list, modules: list, tags: list },
  connections: { name: text, transport: among('tcp'), state: among('connecting', 'connected', 'waiting', 'closed'),
    since: or(time, none), error: text, reconnects: count, load: (value) => number(value) && value <= 1 },
  devices: { name: text, connection: text, unit_id: count,
    state: among('starting', 'online', 'degraded', 'offline', 'disabled'), since: or(time, none), last_ok: or(time, none),
    error: text, requests: count, errors: (value) => fits(value, SHAPES.errors),
    latency_ms: (value) => fits(value, SHAPES.latency) },
  errors: { timeout: count, crc: count, exception: count, late: count, other: count },
  latency: { p50: number, p95: number, max: number },
  modules: { name: text, state: among('waiting', 'connecting', 'getting', 'ready', 'refused'), since: or(time, none),
    error: text, desired_version: or(count, none), reported_version: or(count, none), pending: count, patches: count,
    reconnects: count, twin_bytes: count },
  tags: { device: text, tag: text, value: () => true, quality: among('good', 'bad', 'stale', 'none'),
    sampled: or(time, none), raw: (value) => /^([0-9A-F]{4}( [0-9A-F]{4})*|[0-9A-F]{2})?$/.test(value), unit: text,
    access: among('r', 'w', 'rw') },
};

/** Whether every key of the shape is there and right; says which is not. */
function fits(value, shape) {
  for (const [key, right] of Object.entries(shape)) {
    assert.ok(key in value, `${key} is missing in ${JSON.stringify(value)}`);
    assert.ok(right(value[key]), `${key} is wrong in ${JSON.stringify(value)}`);
  }
  return true;
}

test('/api/status has every key, with the right type', async (t) => {
  const { site, gateway } = await system(t);
  const whole = async () => {
    const document = await gateway.status();
    fits(document, SHAPES.document);
    for (const section of ['connections', 'devices', 'modules', 'tags'])
      for (const entry of document[section]) fits(entry, SHAPES[section]);
    return document;
  };
  const now = Date.now();

  const document = await whole();
  assert.equal(document.name, 'gateway-01');
  assert.equal(document.ready, true);
  assert.ok(Math.abs(Date.parse(document.started) - now) < 60000);
  assert.deepEqual(document.connections.map((entry) => [entry.name, entry.state, entry.error]), [['plant', 'connected', '']]);
  assert.deepEqual(document.devices.map((entry) => [entry.name, entry.connection, entry.unit_id, entry.state]),
    [['boiler-7', 'plant', 7, 'online'], ['boiler-8', 'plant', 8, 'online']]);
  assert.ok(document.devices[0].requests > 0);
  assert.ok(document.devices[0].latency_ms.max > 0);
  assert.deepEqual(document.modules.map((entry) => [entry.name, entry.state]), [['boiler-7', 'ready'], ['boiler-8', 'ready']]);
  assert.equal(document.modules[0].desired_version, 1);
  assert.equal(document.tags.length, 6);
  const { sampled, ...temperature } = document.tags[0];
  assert.deepEqual(temperature, { device: 'boiler-7', tag: 'temperature', value: 60, quality: 'good', raw: '4270 0000',
    unit: 'degC', access: 'r' });
  assert.ok(now - Date.parse(sampled) < 5000);
  assert.deepEqual(document.tags.slice(1, 3).map((tag) => [tag.tag, tag.value, tag.raw, tag.access]),
    [['setpoint', 20, '00C8', 'rw'], ['pump', false, '00', 'rw']]);

  await site.silent('boiler-8');
  await until(async () => (await gateway.device('boiler-8')).state === 'offline', { what: 'offline' });
  await whole();
});

test('/api/status before anything was reached', async (t) => {
  const { iot, site, gateway } = await system(t);
  await gateway.stop();
  await iot.stop();
  await site.kill();
  await gateway.start();

  const document = await gateway.status();
  for (const section of ['connections', 'devices', 'modules', 'tags'])
    for (const entry of document[section]) fits(entry, SHAPES[section]);
  assert.equal(document.ready, false);
  assert.deepEqual(document.devices.map((entry) => entry.last_ok), [null, null]);
  assert.deepEqual(document.modules.map((entry) => [entry.desired_version, entry.reported_version]), [[null, null], [null, null]]);
  for (const tag of document.tags) assert.deepEqual([tag.value, tag.quality, tag.sampled, tag.raw], [null, 'none', null, '']);
});

test('/api/status gives the parts that are asked for', async (t) => {
  const { gateway } = await system(t);
  const names = (document) => document.tags.map((tag) => `${tag.device}.${tag.tag}`);
  const all = names(await gateway.status());

  assert.deepEqual((await gateway.status('?tags=0')).tags, []);
  assert.equal((await gateway.status('?tags=0')).devices.length, 2);
  const one = await gateway.status('?device=boiler-8');
  assert.deepEqual(one.devices.map((device) => device.name), ['boiler-8']);
  assert.deepEqual(names(one), all.slice(3));
  assert.deepEqual((await gateway.status('?device=boiler-9')).devices, []);
  assert.deepEqual(names(await gateway.status('?search=SETPOINT')), ['boiler-7.setpoint', 'boiler-8.setpoint']);
  assert.deepEqual(names(await gateway.status('?search=boiler-7')), all.slice(0, 3));
  assert.deepEqual(names(await gateway.status('?search=nothing')), []);
  assert.deepEqual(names(await gateway.status('?limit=2')), all.slice(0, 2));
  assert.deepEqual(names(await gateway.status('?offset=4')), all.slice(4));
  assert.deepEqual(names(await gateway.status('?search=t&offset=1&limit=2')),
    all.filter((name) => name.includes('t')).slice(1, 3));
  assert.deepEqual(names(await gateway.status('?device=boiler-8&search=pump')), ['boiler-8.pump']);
  assert.deepEqual(names(await gateway.status('?offset=6')), []);
});

test('/api/status is whole when it is longer than a piece', async (t) => {
  const units = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`unit-with-a-long-name-${i + 1}`, i + 1]));
  const iot = await hub(t);
  const site = await plant(t, units);
  const mapping = boilers(units);
  mapping.modules = { all: { devices: Object.keys(units) } };
  const gateway = await bridge(t, { hub: iot, ports: site.ports, mapping });
  await gateway.ready();

  const document = await gateway.status();
  assert.equal(document.devices.length, 60);
  assert.equal(document.tags.length, 180);
  assert.deepEqual(document.tags.map((tag) => tag.device), Object.keys(units).flatMap((name) => [name, name, name]));
});

test('/healthz and /readyz, before and after ready', async (t) => {
  const { iot, gateway } = await system(t);
  await gateway.stop();
  await iot.stop();
  await gateway.start();

  assert.equal((await gateway.page('/healthz')).status, 200);
  await until(async () => /no module was ready/.test((await gateway.page('/readyz')).text), { what: 'the reason' });
  assert.equal((await gateway.page('/readyz')).status, 503);
  await iot.start();
  await gateway.ready();
  assert.equal((await gateway.page('/readyz')).status, 200);
  assert.equal((await gateway.page('/healthz')).status, 200);

  await iot.kill(); // ready says "was once since the start"
  await gateway.reaches('waiting');
  assert.equal((await gateway.page('/readyz')).status, 200);
});

test('the page comes whole, asks nobody else, and may run nothing but its own', async (t) => {
  const { gateway } = await system(t);
  const page = await gateway.page('/');

  assert.equal(page.status, 200);
  assert.match(page.headers.get('content-type'), /^text\/html; charset=utf-8$/);
  assert.match(page.text, /^<!doctype html>/i);
  assert.match(page.text, /<\/html>\s*$/);
  assert.match(page.text, /\/api\/status/);
  assert.doesNotMatch(page.text, /(src|href)=["']?(https?:)?\/\//);
  const policy = page.headers.get('content-security-policy');
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe-|\*/);
  assert.equal(Number(page.headers.get('content-length')), Buffer.byteLength(page.text));
});

test('404, 405, 400, HEAD', async (t) => {
  const { gateway } = await system(t);

  for (const where of ['/nothing', '/api', '/api/status/x', '/../etc/passwd', '/%2e%2e/etc/passwd', `/${'x'.repeat(1000)}`])
    assert.equal((await ask(gateway, 'GET', where)).status, 404, where);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']) {
    const refused = await ask(gateway, method, '/api/status');
    assert.equal(refused.status, 405, method);
    assert.equal(refused.headers.allow, 'GET, HEAD');
  }
  assert.equal((await ask(gateway, 'POST', '/', { body: 'a=1' })).status, 405);
  assert.equal((await ask(gateway, 'PUT', '/', { body: 'a=1', headers: { 'Transfer-Encoding': 'chunked' } })).status, 405);
  for (const query of ['?nothing=1', '?tags=2', '?limit=-1', '?limit=x', '?offset=', `?search=${'x'.repeat(300)}`])
    assert.equal((await ask(gateway, 'GET', `/api/status${query}`)).status, 400, query);
  for (const where of ['/', '/api/status', '/healthz', '/readyz']) {
    const head = await ask(gateway, 'HEAD', where);
    assert.equal(head.status, 200, where);
    assert.equal(head.text, '');
  }
});

test('whatever it is sent: it does not spin, does not stop, and serves the next', async (t) => {
  const { gateway } = await system(t, { template: { poll_interval: '1s' } });
  const get = 'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n';
  const put = 'PUT /api/status HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc';
  const before = processorTime(gateway);
  const begun = performance.now();

  const sent = [
    get + put,
    put + get,
    get + get + get,
    get + '\r\n\r\n\r\n',
    put + '\r\n',
    get + 'x'.repeat(60000),
    'x'.repeat(60000),
    Buffer.alloc(5000, 0).toString('latin1'),
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03' + '\x7f'.repeat(500), // TLS, to a port that has none
    'POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n' + get,
    'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\n' + put,
    'GET / HTTP/1.1\r\nHost: x\r\n' + 'a: b\r\n'.repeat(5000) + '\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n',
    'NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n',
  ];
  const answers = await Promise.all(sent.map((bytes) => send(t, gateway, Buffer.from(bytes, 'latin1'))));
  assert.match(answers[0], /^HTTP\/1.1 200 [^]*ok\n$/);
  assert.equal(answers[2].match(/HTTP\/1.1/g).length, 1, 'one request, one answer, one connection');
  for (const answer of answers.slice(3)) assert.doesNotMatch(answer, /^HTTP\/1.1 (101|5)/);

  // Those who say nothing, or half of something, and stay.
  const url = new URL(gateway.url);
  for (const half of ['', 'GET / HT', 'PUT / HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc']) {
    const socket = net.connect(Number(url.port), url.hostname, () => socket.write(half)).on('error', () => {});
    cleanup(t, () => socket.destroy());
  }
  assert.equal((await gateway.page('/healthz')).status, 200);
  await sleep(2000); // the time in which it must not spin
  const used = processorTime(gateway) - before;
  const passed = performance.now() - begun;
  t.diagnostic(`${used} ms of processor time in ${passed.toFixed(0)} ms`);
  assert.ok(used < passed / 5, `${used} ms of processor time in ${passed} ms`);
  assert.equal((await gateway.status()).ready, true);
});

test('a reader who does not read costs nothing and hinders nobody', async (t) => {
  const { site, gateway } = await system(t);
  const url = new URL(gateway.url);
  for (let i = 0; i < 20; i++) {
    const socket = net.connect(Number(url.port), url.hostname,
      () => socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')).on('error', () => {});
    socket.pause();
    cleanup(t, () => socket.destroy());
  }

  await site.temperature('boiler-7', 61);
  await until(async () => (await gateway.tag('boiler-7', 'temperature')).value === 61, { what: 'the change' });
  assert.equal((await gateway.page('/')).status, 200);
});

test('an address that is taken ends the start with 75, one beyond loopback with 78, both in words', async (t) => {
  const { gateway } = await system(t, { units: { 'boiler-7': 7 } });
  gateway.change((mapping) => {
    mapping.status.listen = `127.0.0.1:${new URL(gateway.url).port}`;
    mapping.state += '-other';
  });
  const taken = await run(t, 'twinbridge', ['run', gateway.file]);
  assert.equal(taken.code, 75, taken.stderr);
  assert.match(taken.stderr, /status\.listen 127\.0\.0\.1:\d+: Address already in use: is another twinbridge running/);

  gateway.change((mapping) => {
    mapping.status.listen = '0.0.0.0:0';
  });
  const open = await run(t, 'twinbridge', ['run', gateway.file]);
  assert.equal(open.code, 78, open.stderr);
  assert.match(open.stderr, /status\.listen: is "0\.0\.0\.0:0", but the status page is for this machine only/);
});
