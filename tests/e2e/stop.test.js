// SIGTERM: the bridge says goodbye, closes everything it opened and exits with 0 within 2 s, wherever it is
// interrupted. The build under test has sanitizers: a leak fails the test (see lib/program.js).

import assert from 'node:assert/strict';
import dgram from 'node:dgram';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import test from 'node:test';

import { Program, boilers, bridge, cleanup, fakeHub, folder, hub, plant, until } from './lib/index.js';

const DEVICE = 'gateway-01';
const STOP_MS = 2000;
const CONNACK = [0x20, 2, 0, 0];
const SUBACK = [0x90, 4, 0, 1, 0, 0];

/** Sends the signals one after the other; the bridge must end in time, properly, and say so. */
async function stopsCleanly(t, gateway, ...signals) {
  const { program } = gateway;
  const begun = performance.now();
  for (const signal of signals.length > 0 ? signals : ['SIGTERM']) program.signal(signal);
  const exit = await program.ended();
  const took = performance.now() - begun;

  program.check();
  t.diagnostic(`stopped in ${took.toFixed(0)} ms`);
  assert.deepEqual(exit, { code: 0, signal: null }, program.said);
  assert.doesNotMatch(program.stderr, /left open|without waiting/);
  assert.match(program.stderr, /info {2}stopped$/m);
  assert.ok(took < STOP_MS, `it took ${took} ms; ${program.said}`);
}

/** A port where nobody listens. */
async function closedPort() {
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A TCP server that takes connections and never says a word; `accepted` counts them. */
async function mute(t) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket.on('error', () => {}));
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  cleanup(t, () => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  return { port: server.address().port, get accepted() { return sockets.size; } };
}

/** A port whose queue of connections is full: the kernel drops what comes, and connecting takes for ever. */
async function full(t) {
  const listener = new Program(t, '/usr/bin/python3', ['-c', `
import signal, socket
signal.signal(signal.SIGTERM, lambda *_: exit(0))
server = socket.socket()
server.bind(("127.0.0.1", 0))
server.listen(0)
first = socket.create_connection(server.getsockname())
print("port", server.getsockname()[1], flush=True)
signal.pause()`], { name: 'full queue' });
  return Number((await listener.line(/^port (\d+)$/m))[1]);
}

/** A bridge for one boiler, whose server and hub are where the test says. */
async function alone(t, { hub: iot, plantPort, connection }) {
  return await bridge(t, {
    hub: { host: 'localhost', port: iot.port, caFile: iot.caFile },
    mapping: boilers({ 'boiler-7': 7 }, { hub: { credentials: iot.credentials('boiler-7') }, connection }),
    ports: { plant: plantPort ?? await closedPort() },
    provision: false,
  });
}

/** A hub that does not answer TCP or TLS, with a certificate file and a credential that would do. */
async function noHub(t, port) {
  return { ...await fakeHub(t, () => null), port };
}

async function system(t, { units = { 'boiler-7': 7 }, ...options } = {}) {
  const iot = await hub(t);
  const site = await plant(t, units);
  const gateway = await bridge(t, { hub: iot, ports: site.ports, mapping: boilers(units, options) });
  await gateway.ready();
  return { iot, site, gateway };
}

async function goodbyes(iot, modules) {
  for (const module of modules) {
    const { health } = await iot.reported(DEVICE, module);
    assert.equal(health.state, 'stopped', module);
  }
}

for (const signals of [['SIGTERM'], ['SIGINT'], ['SIGTERM', 'SIGTERM'], ['SIGINT', 'SIGTERM', 'SIGINT']]) {
  test(`${signals.join(' and ')} while all is well: every twin says stopped`, async (t) => {
    const { iot, gateway } = await system(t, { units: { 'boiler-7': 7, 'boiler-8': 8, 'boiler-9': 9 } });

    await stopsCleanly(t, gateway, ...signals);

    await goodbyes(iot, ['boiler-7', 'boiler-8', 'boiler-9']);
  });
}

test('SIGTERM with as many modules as a hub device may have: every twin says stopped', async (t) => {
  const units = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`boiler-${i + 1}`, i + 1]));
  const { iot, gateway } = await system(t, { units, template: { poll_interval: '1s' } });

  await stopsCleanly(t, gateway);

  await goodbyes(iot, Object.keys(units));
});

test('SIGTERM again a moment later changes nothing', async (t) => {
  const { iot, site, gateway } = await system(t);
  iot.program.signal('SIGSTOP'); // the goodbye waits for it
  cleanup(t, () => iot.program.signal('SIGCONT'));
  await site.temperature('boiler-7', 70);
  await until(async () => (await gateway.tag('boiler-7', 'temperature')).value === 70, { what: 'a change' });

  gateway.program.signal('SIGTERM');
  await gateway.program.line(/stopping \(SIGTERM\)/);
  await stopsCleanly(t, gateway, 'SIGTERM', 'SIGTERM');

  assert.equal(gateway.program.stderr.match(/stopping/g).length, 1);
});

test('SIGTERM right after the start', async (t) => {
  const iot = await hub(t);
  const site = await plant(t, { 'boiler-7': 7 });
  const gateway = await bridge(t, { hub: iot, ports: site.ports, mapping: boilers({ 'boiler-7': 7 }) });

  await stopsCleanly(t, gateway);
});

test('SIGTERM while TCP connects, to the hub and to the device', async (t) => {
  const port = await full(t);
  const gateway = await alone(t, { hub: await noHub(t, port), plantPort: port });

  await until(async () => {
    const { modules, connections } = await gateway.status();
    return modules[0].state === 'connecting' && connections[0].state === 'connecting';
  }, { what: 'both connecting' });
  await stopsCleanly(t, gateway);
});

test('SIGTERM during the TLS handshake with a hub that never answers', async (t) => {
  const silent = await mute(t);
  const gateway = await alone(t, { hub: await noHub(t, silent.port) });

  await until(() => silent.accepted > 0, { what: 'a connection' });
  assert.equal((await gateway.module('boiler-7')).state, 'connecting');
  await stopsCleanly(t, gateway);
});

const stages = [
  { name: 'the WebSocket upgrade', until: 'upgrade', answers: {}, upgrade: false, state: 'connecting' },
  { name: 'CONNECT', until: 'CONNECT', answers: {}, state: 'connecting' },
  { name: 'subscribe', until: 'SUBSCRIBE', answers: { CONNECT: CONNACK }, state: 'connecting' },
  { name: 'the twin get', until: 'PUBLISH', answers: { CONNECT: CONNACK, SUBSCRIBE: SUBACK }, state: 'getting' },
];
for (const stage of stages) {
  test(`SIGTERM during ${stage.name}`, async (t) => {
    const iot = await fakeHub(t, (name) => stage.answers[name], { upgrade: stage.upgrade });
    const gateway = await alone(t, { hub: iot });

    await until(() => iot.heard.includes(stage.until), { what: stage.until });
    assert.equal((await gateway.module('boiler-7')).state, stage.state);
    await stopsCleanly(t, gateway);

    if (stage.upgrade !== false) await until(() => iot.heard.at(-1) === 'DISCONNECT', { what: 'DISCONNECT' });
  });
}

test('SIGTERM during a write: it is not written again when the bridge is back', async (t) => {
  const { iot, site, gateway } = await system(t, {
    connection: { response_timeout: '20s' },
    template: { poll_interval: '1h', stale_after: '3h' }, // so that nothing but the write is under way
  });

  site.server.program.signal('SIGSTOP');
  cleanup(t, () => site.server.program.signal('SIGCONT'));
  const version = (await iot.desire(DEVICE, 'boiler-7', { setpoint: 24 })).properties.desired.$version;
  await until(async () => (await iot.reported(DEVICE, 'boiler-7')).setpoint.ac === 202, { what: '202' });
  await stopsCleanly(t, gateway);
  await goodbyes(iot, ['boiler-7']);

  site.server.program.signal('SIGCONT');
  await until(async () => (await site.setpoints('boiler-7')).length === 1, { what: 'the write that was under way' });
  await gateway.start();
  await until(async () => (await iot.reported(DEVICE, 'boiler-7')).setpoint.ac === 200, { what: '200' });
  assert.deepEqual((await iot.reported(DEVICE, 'boiler-7')).setpoint, { value: 24, ac: 200, av: version, ad: '' });
  assert.deepEqual(await site.setpoints('boiler-7'), [24]);
});

test('SIGTERM during a read of a device that does not answer', async (t) => {
  const { iot, site, gateway } = await system(t, { connection: { response_timeout: '20s' } });

  site.server.program.signal('SIGSTOP');
  cleanup(t, () => site.server.program.signal('SIGCONT'));
  await until(async () => (await gateway.status()).tags.every((tag) => tag.quality === 'stale'), { what: 'silence' });
  await stopsCleanly(t, gateway);

  await goodbyes(iot, ['boiler-7']);
});

test('SIGTERM with the device absent', async (t) => {
  const iot = await hub(t);
  const gateway = await bridge(t, { hub: iot, ports: { plant: await closedPort() },
    mapping: boilers({ 'boiler-7': 7 }) });

  await gateway.ready();
  await until(async () => (await iot.reported(DEVICE, 'boiler-7')).health?.state === 'offline', { what: 'offline' });
  await stopsCleanly(t, gateway);

  await goodbyes(iot, ['boiler-7']);
});

test('SIGTERM with hub and device absent', async (t) => {
  const gateway = await alone(t, { hub: await noHub(t, await closedPort()) });

  await gateway.reaches('waiting');
  await stopsCleanly(t, gateway);
});

test('SIGTERM with a hub that stopped answering, and changes that wait for it', async (t) => {
  const { iot, site, gateway } = await system(t);

  iot.program.signal('SIGSTOP');
  cleanup(t, () => iot.program.signal('SIGCONT'));
  await site.temperature('boiler-7', 75);
  await until(async () => (await gateway.tag('boiler-7', 'temperature')).value === 75, { what: 'a change' });
  await stopsCleanly(t, gateway);
});

test('SIGTERM with a credential that is missing', async (t) => {
  const gateway = await bridge(t, { hub: { host: 'localhost', port: await closedPort() },
    ports: { plant: await closedPort() }, mapping: boilers({ 'boiler-7': 7 }), provision: false });

  await gateway.reaches('refused');
  await stopsCleanly(t, gateway);
});

test('SIGTERM while the status page is being read, by somebody who does not go on', async (t) => {
  const { gateway } = await system(t);
  const url = new URL(gateway.url);
  const readers = [];
  for (const said of ['', 'GET / HT', 'GET /api/status HTTP/1.1\r\nHost: x\r\n\r\n', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n']) {
    const socket = net.connect(Number(url.port), url.hostname).on('error', () => {});
    cleanup(t, () => socket.destroy());
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.pause();
    socket.write(said);
    readers.push(socket);
  }
  await gateway.status(); // the server has turned since

  await stopsCleanly(t, gateway);
});

test('SIGTERM while a name is being looked up by a resolver that hangs', async (t) => {
  if (process.getuid() !== 0) return t.skip('needs root, for a resolver of its own');
  const resolver = dgram.createSocket('udp4');
  let asked = 0;
  resolver.on('message', () => asked++);
  const bound = await new Promise((resolve) => {
    resolver.once('error', () => resolve(false));
    resolver.bind(53, '127.7.7.7', () => resolve(true));
  });
  if (!bound) return t.skip('no address for a resolver of its own');
  cleanup(t, () => new Promise((resolve) => resolver.close(resolve)));
  const dir = folder(t);
  const [conf, nss] = ['resolv.conf', 'nsswitch.conf'].map((name) => path.join(dir, name));
  fs.writeFileSync(conf, 'nameserver 127.7.7.7\noptions timeout:30\n');
  fs.writeFileSync(nss, 'hosts: files dns\n');
  const iot = await noHub(t, 443);
  const gateway = await bridge(t, { hub: { host: 'localhost', port: 443, caFile: iot.caFile }, start: false,
    mapping: boilers({ 'boiler-7': 7 }, { hub: { credentials: iot.credentials('boiler-7') } }),
    ports: { plant: await closedPort() }, provision: false });
  gateway.change((mapping) => {
    mapping.hub.host_name = 'hub.example';
    mapping.connections.plant.host = 'plc.example';
  });
  const file = path.join(gateway.mapping.hub.credentials, 'boiler-7');
  fs.writeFileSync(file, fs.readFileSync(file, 'utf8').replace('localhost', 'hub.example'));
  await gateway.start({ within: ['/usr/bin/unshare', '--mount', '/bin/sh', '-c',
    'mount --bind "$0" /etc/resolv.conf && mount --bind "$1" /etc/nsswitch.conf && shift && exec "$@"', conf, nss] });

  await until(() => asked >= 2, { what: 'questions' });
  const begun = performance.now();
  gateway.program.signal('SIGTERM');
  const exit = await gateway.program.ended();
  const took = performance.now() - begun;

  t.diagnostic(`stopped in ${took.toFixed(0)} ms`);
  gateway.program.check();
  assert.deepEqual(exit, { code: 0, signal: null }, gateway.program.said);
  assert.match(gateway.program.stderr, /stopped without waiting for .*a name that does not resolve/);
  assert.ok(took < STOP_MS + 500, `it took ${took} ms`); // it waits for nearly 2 s
});
