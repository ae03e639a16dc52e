// What is wrong around the bridge: it keeps running, says once what is wrong in words that name the module
// or the device and the remedy, shows it in /api/status, and goes on by itself when it is repaired.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import test from 'node:test';

import { boilers, bridge, certificate, folder, hub, parts, plant, stays, tlsFront, token, until } from './lib/index.js';

const DEVICE = 'gateway-01';
const MODULE = 'boiler-7';
const KEY = Buffer.alloc(32, 7).toString('base64');

/** A hub, a plant, and a bridge between them that is not started yet; what it repeats goes to its log, too. */
async function system(t, { front, caFile } = {}) {
  const iot = await hub(t);
  const site = await plant(t, { [MODULE]: 7 });
  const place = front === undefined ? undefined : await tlsFront(t, iot, front);
  const gateway = await bridge(t, { hub: iot, ports: site.ports, mapping: boilers({ [MODULE]: 7 }), start: false });
  gateway.change((mapping) => {
    if (place) mapping.hub.port = place.port;
    if (caFile) mapping.hub.ca_file = caFile;
  });
  return { iot, site, gateway, front: place, start: () => gateway.start({ args: ['--log-level', 'debug'] }) };
}

function lines(gateway, level, pattern) {
  return gateway.program.stderr.split('\n').filter((line) => line.includes(` ${level.padEnd(5)} `) && pattern.test(line));
}

/** Waits until the trouble was met again; still it must have been said only once, as `text`. */
async function saidOnce(gateway, text) {
  await until(() => lines(gateway, 'debug', text).length >= 2, { what: `${text} again` })
    .catch((error) => assert.fail(`${error.message}; ${gateway.program.said}`));
  assert.equal(lines(gateway, 'warn', text).length, 1, gateway.program.said);
  assert.equal(gateway.program.exit, null, 'it keeps running');
}

/** The same for what is tried again without a word. */
async function staysSaidOnce(gateway, text) {
  await stays(() => lines(gateway, 'warn', text).length === 1, { time: 2500, what: `one line ${text}` });
  assert.equal(gateway.program.exit, null, 'it keeps running');
}

/** The trouble of the module: in the state, with the words. */
async function shows(gateway, state, text) {
  await until(async () => {
    const module = await gateway.module(MODULE);
    return module.state === state && text.test(module.error);
  }, { what: `${state}: ${text}` }).catch(async (error) =>
    assert.fail(`${error.message}; it is ${JSON.stringify(await gateway.module(MODULE))}`));
  const { status } = await gateway.page('/readyz');
  assert.equal(status, 503);
}

/** Repaired: the module becomes ready, its error goes, its values come. */
async function goesOn(t, { iot, gateway }) {
  const begun = performance.now();

  await gateway.ready([MODULE], 30000);
  t.diagnostic(`went on after ${(performance.now() - begun).toFixed(0)} ms`);
  assert.equal((await gateway.module(MODULE)).error, '');
  await until(async () => (await iot.reported(DEVICE, MODULE)).temperature === 60, { what: 'values' });
  assert.equal((await gateway.page('/readyz')).status, 200);
}

/** The credential of the module's connection string, with one part changed. */
function credential(gateway, change) {
  const file = gateway.credential(MODULE);
  fs.writeFileSync(file, change(fs.readFileSync(file, 'utf8').trim()) + '\n', { mode: 0o600 });
}

test('a wrong key: another file in its place is tried at once', async (t) => {
  const made = await system(t);
  const right = fs.readFileSync(made.gateway.credential(MODULE));
  credential(made.gateway, (text) => text.replace(/SharedAccessKey=.*/, `SharedAccessKey=${KEY}`));
  await made.start();

  const text = /module boiler-7: the hub refused the credential.*check key, module and clock/;
  await shows(made.gateway, 'refused', text);
  await saidOnce(made.gateway, text);

  const next = `${made.gateway.credential(MODULE)}.new`;
  fs.writeFileSync(next, right, { mode: 0o600 });
  fs.renameSync(next, made.gateway.credential(MODULE));
  await goesOn(t, made);
});

test('a module that the hub does not know: it goes on when the module is made', async (t) => {
  const made = await system(t);
  assert.equal((await made.iot.rest('DELETE', `/devices/${DEVICE}/modules/${MODULE}`, { etag: '*' })).status, 204);
  await made.start();

  const text = /module boiler-7: the hub refused the credential.*the module must exist in the hub/;
  await shows(made.gateway, 'refused', text);
  await saidOnce(made.gateway, text);

  const { SharedAccessKey } = parts(fs.readFileSync(made.gateway.credential(MODULE), 'utf8'));
  const created = await made.iot.rest('PUT', `/devices/${DEVICE}/modules/${MODULE}`, { body: {
    deviceId: DEVICE, moduleId: MODULE,
    authentication: { type: 'sas', symmetricKey: { primaryKey: SharedAccessKey, secondaryKey: KEY } },
  } });
  assert.equal(created.status, 200, JSON.stringify(created.body));
  await goesOn(t, made);
});

test('a ready-made token that has expired', async (t) => {
  const made = await system(t);
  const right = fs.readFileSync(made.gateway.credential(MODULE), 'utf8').trim();
  const { HostName, SharedAccessKey } = parts(right);
  const withToken = (lifetime) => right.replace(/SharedAccessKey=.*/, 'SharedAccessSignature=' +
    token(`${HostName}/devices/${DEVICE}/modules/${MODULE}`, SharedAccessKey, { lifetime }));
  credential(made.gateway, () => withToken(-60));
  await made.start();

  const text = /module boiler-7: its token has expired: write a new one/;
  await shows(made.gateway, 'refused', text);
  await staysSaidOnce(made.gateway, text);

  credential(made.gateway, () => withToken(600));
  await goesOn(t, made);
});

test('a credential file that is missing, then has no string in it, then one of another module', async (t) => {
  const made = await system(t);
  const file = made.gateway.credential(MODULE);
  const right = fs.readFileSync(file, 'utf8');
  fs.rmSync(file);
  await made.start();

  const missing = /module boiler-7: no credential: write its connection string into \S+\/boiler-7 \(mode 0600\)/;
  await shows(made.gateway, 'refused', missing);
  await staysSaidOnce(made.gateway, missing);

  fs.writeFileSync(file, 'to do\n', { mode: 0o600 });
  await shows(made.gateway, 'refused', /module boiler-7: credential \S+\/boiler-7: /);

  fs.writeFileSync(file, right.replace(/ModuleId=[^;]*/, 'ModuleId=boiler-8'), { mode: 0o600 });
  const foreign = /module boiler-7: credential \S+\/boiler-7: ModuleId is "boiler-8", it is to be "boiler-7"/;
  await shows(made.gateway, 'refused', foreign);
  assert.equal(lines(made.gateway, 'warn', foreign).length, 1);

  fs.writeFileSync(file, right, { mode: 0o600 });
  await goesOn(t, made);
});

test('a credential of another hub or another device is refused by name', async (t) => {
  const made = await system(t);
  const right = fs.readFileSync(made.gateway.credential(MODULE), 'utf8').trim();
  credential(made.gateway, () => right.replace(/HostName=[^;]*/, 'HostName=other.example'));
  await made.start();

  await shows(made.gateway, 'refused', /boiler-7: HostName is "other.example", the mapping file says "localhost"/);
  credential(made.gateway, () => right.replace(/DeviceId=[^;]*/, 'DeviceId=gateway-02'));
  await shows(made.gateway, 'refused', /boiler-7: DeviceId is "gateway-02", the mapping file says "gateway-01"/);

  credential(made.gateway, () => right);
  await goesOn(t, made);
});

test('a credential that others can read is used, and said once', async (t) => {
  const made = await system(t);
  fs.chmodSync(made.gateway.credential(MODULE), 0o644);
  await made.start();

  await goesOn(t, made);
  const port = made.iot.port;
  await made.iot.kill();
  await made.gateway.reaches('waiting');
  made.iot.port = port;
  await made.iot.start();
  await made.gateway.ready();
  assert.equal(lines(made.gateway, 'warn', /module boiler-7: the credential file can be read by others; chmod 600/).length, 1);
});

test('a hub whose certificate no CA of ours signed: it goes on when ca_file has that CA', async (t) => {
  const caFile = path.join(folder(t), 'ca.pem');
  fs.copyFileSync(certificate(t, ['other.example']).caFile, caFile);
  const made = await system(t, { caFile });
  await made.start();

  const text = /module boiler-7: TLS: the certificate of localhost comes from .* not trusted here: put that CA's certificate into ca_file/;
  await shows(made.gateway, 'waiting', text);
  await saidOnce(made.gateway, text);

  fs.copyFileSync(made.iot.caFile, caFile);
  await goesOn(t, made);
});

test('a ca_file that is missing, or holds no certificate', async (t) => {
  const caFile = path.join(folder(t), 'ca.pem');
  const made = await system(t, { caFile });
  await made.start();

  const text = /module boiler-7: ca_file \S+\/ca.pem: No such file or directory: name a PEM file/;
  await shows(made.gateway, 'waiting', text);
  fs.writeFileSync(caFile, 'to do\n');
  await shows(made.gateway, 'waiting', /module boiler-7: ca_file \S+ holds no readable certificate/);

  fs.copyFileSync(made.iot.caFile, caFile);
  await goesOn(t, made);
});

test('a certificate for another host name: it goes on when the hub has one for the name', async (t) => {
  const wrong = certificate(t, ['hub.example', 'IP:127.0.0.9']);
  const right = certificate(t, ['localhost']);
  const caFile = path.join(folder(t), 'both.pem');
  fs.writeFileSync(caFile, wrong.cert + right.cert);
  const made = await system(t, { front: wrong, caFile });
  await made.start();

  const text = /module boiler-7: TLS: the certificate is not for localhost but for hub.example, 127.0.0.9: correct the host name/;
  await shows(made.gateway, 'waiting', text);
  await saidOnce(made.gateway, text);

  made.front.present(right);
  await goesOn(t, made);
});

test('a hub that is not there: it goes on when it is', async (t) => {
  const made = await system(t);
  await made.iot.stop();
  await made.start();

  const text = /module boiler-7: cannot connect to localhost \S+ port \d+: Connection refused: nothing listens there, check host and port/;
  await shows(made.gateway, 'waiting', text);
  await saidOnce(made.gateway, text);
  await until(async () => (await made.gateway.device(MODULE)).state === 'online', { what: 'the device, without any hub' });

  await made.iot.start();
  await goesOn(t, made);
});

test('a hub name that does not resolve', async (t) => {
  const made = await system(t);
  made.gateway.change((mapping) => {
    mapping.hub.host_name = 'hub.invalid'; // RFC 2606: never there
  });
  credential(made.gateway, (text) => text.replace('HostName=localhost', 'HostName=hub.invalid'));
  await made.start();

  await shows(made.gateway, 'waiting', /module boiler-7: hub.invalid does not resolve .*check the host name and this machine's DNS/);
});

test('a hub name with several addresses: all are tried, the trouble of each is said once', async (t) => {
  if (process.getuid() !== 0) return t.skip('needs root, for host names of its own');
  const iot = await hub(t, { args: ['--host-name', 'hub.example'] });
  const site = await plant(t, { [MODULE]: 7 });
  const gateway = await bridge(t, { hub: iot, ports: site.ports, mapping: boilers({ [MODULE]: 7 }),
    start: false, provision: false });
  fs.mkdirSync(gateway.mapping.hub.credentials);
  fs.writeFileSync(gateway.credential(MODULE), await iot.create(DEVICE, MODULE), { mode: 0o600 });
  const hosts = path.join(gateway.folder, 'hosts');
  fs.writeFileSync(hosts, '127.0.0.9 hub.example\n127.0.0.1 hub.example\n');
  await iot.stop();
  await gateway.start({ args: ['--log-level', 'debug'],
    within: ['/usr/bin/unshare', '--mount', '/bin/sh', '-c', 'mount --bind "$0" /etc/hosts && exec "$@"', hosts] });

  const text = /module boiler-7: cannot connect to hub.example \(127\.0\.0\.\d\) port \d+: Connection refused/;
  await until(() => lines(gateway, 'debug', text).length >= 5, { timeout: 30000, what: 'both again' });
  assert.equal(lines(gateway, 'warn', text).length, 2, gateway.program.said);
  await iot.start();

  await goesOn(t, { iot, gateway });
});

test('a device that is not there: said once, shown, in the twin, and back by itself', async (t) => {
  const made = await system(t);
  await made.site.kill();
  await made.start();
  await made.gateway.ready();

  const text = /connection plant: connection refused by 127.0.0.1:\d+: is Modbus.TCP enabled on the device/;
  await saidOnce(made.gateway, text);
  assert.equal(lines(made.gateway, 'warn', /device boiler-7: offline: .*refused/i).length, 1);
  const [connection] = (await made.gateway.status()).connections;
  assert.ok(['waiting', 'connecting'].includes(connection.state));
  assert.match(connection.error, /refused/i);
  const device = await made.gateway.device(MODULE);
  assert.equal(device.state, 'offline');
  assert.match(device.error, /refused/i);
  await until(async () => {
    const { health } = await made.iot.reported(DEVICE, MODULE);
    return health.state === 'offline' && /refused/i.test(health.error);
  }, { what: 'the trouble in the twin' });
  assert.equal((await made.iot.reported(DEVICE, MODULE)).temperature, undefined, 'what was never read is not reported');

  await made.site.start();
  await goesOn(t, made);
  assert.equal((await made.gateway.device(MODULE)).error, '');
  assert.equal(lines(made.gateway, 'info', /connection plant: connected/).length, 1);
});

test('a unit that never answers: said once, however often its connection is made anew', async (t) => {
  const made = await system(t);
  await made.site.silent(MODULE);
  await made.start();
  await made.gateway.ready();

  const text = /connection plant: connected to 127.0.0.1:\d+, but no device answers: check "unit_id"/;
  await saidOnce(made.gateway, text);
  assert.equal(lines(made.gateway, 'warn', /device boiler-7: offline: no answer/).length, 1);
  assert.ok(lines(made.gateway, 'info', /connection plant: connected/).length <= 2, made.gateway.program.said);
  assert.equal((await made.gateway.device(MODULE)).state, 'offline');
  assert.match((await made.gateway.device(MODULE)).error, /no device answers/);

  await made.site.silent(MODULE, false);
  await goesOn(t, made);
  await until(() => lines(made.gateway, 'info', /device boiler-7: online/).length === 1, { what: 'online' });
});

test('a state folder that cannot be made: said once, shown, and everything else works', async (t) => {
  const made = await system(t);
  made.gateway.change((mapping) => {
    mapping.state = path.join(made.gateway.file, 'state'); // below a file
  });
  await made.start();

  await goesOn(t, made);
  assert.equal(lines(made.gateway, 'error', /state.*going on without: results of orders do not survive a restart/).length, 1);
  assert.notEqual((await made.gateway.status()).state_error, '');
  const version = (await made.iot.desire(DEVICE, MODULE, { setpoint: 22 })).properties.desired.$version;
  await until(async () => (await made.iot.reported(DEVICE, MODULE)).setpoint.ac === 200, { what: 'an order' });
  assert.deepEqual((await made.iot.reported(DEVICE, MODULE)).setpoint, { value: 22, ac: 200, av: version, ad: '' });
});
