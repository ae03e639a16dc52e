// twinctl provision: whose the credential files are, what a failure leaves, and how much it asks.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { binaries, folder, hub, run, scripted } from './lib/index.js';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

/** A mapping file of two modules for the hub in `dir`; gives its path. */
function mappingFile(dir, h, credentials = 'credentials') {
  const file = path.join(dir, 'mapping.json');
  const device = (unit) => ({ connection: 'plant', unit_id: unit, tags: { pump: { table: 'coil', address: 3 } } });
  fs.writeFileSync(file, JSON.stringify({
    hub: { host_name: h.host, port: h.port, ca_file: h.caFile, device_id: 'gateway-01', credentials },
    connections: { plant: { transport: 'tcp', host: '127.0.0.1' } },
    devices: { 'boiler-7': device(7), 'boiler-8': device(8) },
  }));
  return file;
}

const owner = (file) => {
  const { uid, gid, mode } = fs.statSync(file);
  return `${uid}:${gid} ${(mode & 0o777).toString(8)}`;
};

const root = process.getuid() === 0 ? false : 'only root can give files away';

test('--owner makes the files, and the folder that is made, the owner\'s', { skip: root }, async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  const provision = (...args) => run(t, 'twinctl', ['provision', file, ...args, ...h.signIn().slice(0, 2)]);

  const made = await provision('--owner', '12345:54321');
  assert.equal(made.code, 0, made.stderr);
  assert.equal(owner(path.join(dir, 'credentials')), '12345:54321 700');
  assert.equal(owner(path.join(dir, 'credentials/boiler-7')), '12345:54321 600');

  const dry = await provision('--owner', '12346', '--dry-run');
  assert.match(dry.stdout, /^module boiler-7: credential would be given to its owner: /m);
  assert.equal(owner(path.join(dir, 'credentials/boiler-7')), '12345:54321 600');
  const given = await provision('--owner', '12346');
  assert.equal(given.code, 0, given.stderr);
  assert.match(given.stdout, /^module boiler-7: credential given to its owner: /m);
  assert.equal(owner(path.join(dir, 'credentials/boiler-7')), '12346:12346 600');
  assert.match(given.stderr, /^twinctl provision: warning: .*\/credentials: the owner of the files in it cannot enter it/);

  const kept = await provision();
  assert.match(kept.stdout, /^module boiler-7: credential is right: /m, 'without --owner a right file is left as it is');
  assert.equal(owner(path.join(dir, 'credentials/boiler-7')), '12346:12346 600');
});

test('who is not root is told so before anything is done', { skip: root }, async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  const binary = path.join(dir, 'twinctl');
  fs.chmodSync(dir, 0o755);
  fs.copyFileSync(path.join(binaries, 'twinctl'), binary);
  fs.chmodSync(binary, 0o755);
  const signIn = path.join(dir, 'policy');
  fs.writeFileSync(signIn, h.policies.iothubowner);

  const result = await run(t, '/usr/bin/setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--',
    binary, 'provision', file, '--owner', 'root', '--hub-connection-string-file', signIn]);

  assert.equal(result.code, 77, result.stderr);
  assert.match(result.stderr, /^twinctl provision: --owner: only root can give files to root; run this with sudo\n$/);
  assert.equal((await h.rest('GET', '/devices/gateway-01')).status, 404);
});

test('a folder that cannot be written is said, and the next run goes on from there', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  fs.writeFileSync(path.join(dir, 'file'), '');
  const stuck = await run(t, 'twinctl',
    ['provision', mappingFile(dir, h, 'file/credentials'), ...h.signIn().slice(0, 2)]);
  assert.equal(stuck.code, 77);
  assert.match(stuck.stderr, /^twinctl provision: module boiler-7: .*file\/credentials\/boiler-7: cannot [^\n]*: Not a directory[^\n]*\n$/);
  assert.match(stuck.stdout, /^module boiler-7: created$/m);
  assert.doesNotMatch(stuck.stdout, /boiler-8/, 'the rest would fail the same way');

  const next = await run(t, 'twinctl', ['provision', mappingFile(dir, h), ...h.signIn().slice(0, 2)]);
  assert.equal(next.code, 0, next.stderr);
  assert.deepEqual(next.stdout.trimEnd().split('\n').map((line) => line.replace(/: \/.*/, '')), [
    'device gateway-01: exists',
    'module boiler-7: exists', 'module boiler-7: credential written',
    'module boiler-8: created', 'module boiler-8: credential written',
  ]);
});

test('a second run asks twice, however many modules there are', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  assert.equal((await run(t, 'twinctl', ['provision', file, ...h.signIn().slice(0, 2)])).code, 0);

  const again = await run(t, 'twinctl', ['provision', file, '--verbose', ...h.signIn().slice(0, 2)]);

  assert.equal(again.code, 0);
  assert.deepEqual([...again.stderr.matchAll(/(GET|PUT) https:\/\/[^/]+(\/[^?]*)\?/g)].map(([, method, where]) => `${method} ${where}`),
    ['GET /devices/gateway-01', 'GET /devices/gateway-01/modules']);
});

test('a right file that everybody can read is left as it is, with a warning', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  const provision = () => run(t, 'twinctl', ['provision', file, ...h.signIn().slice(0, 2)]);
  await provision();
  fs.chmodSync(path.join(dir, 'credentials/boiler-7'), 0o644);

  const result = await provision();

  assert.equal(result.code, 0);
  assert.match(result.stderr, /^twinctl provision: module boiler-7: warning: everybody can read .*boiler-7; chmod 600 it\n$/);
  assert.match(result.stdout, /^module boiler-7: credential is right/m);
});

test('a mapping file that is not there is no mistake in it', async (t) => {
  const h = await hub(t);
  const result = await run(t, 'twinctl', ['provision', '/nowhere/mapping.json', ...h.signIn()]);
  assert.equal(result.code, 66);
  assert.match(result.stderr, /^twinctl provision: \/nowhere\/mapping\.json: cannot read the mapping file: No such file[^\n]*\n$/);
});

test('a renewed credential leads over the gateway that it led over before', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  const provision = (...args) => run(t, 'twinctl', ['provision', file, ...args, ...h.signIn().slice(0, 2)]);
  await provision();
  const credential = path.join(dir, 'credentials/boiler-7');
  const right = fs.readFileSync(credential, 'utf8');
  fs.writeFileSync(credential, right.replace(/SharedAccessKey=.*/, `SharedAccessKey=${KEY}`)
    .replace(';DeviceId', ';GatewayHostName=edge.example;DeviceId'));

  const result = await provision();

  assert.equal(result.code, 0, result.stderr);
  assert.match(result.stdout, /^module boiler-7: credential renewed: /m);
  assert.equal(fs.readFileSync(credential, 'utf8'), right.replace(';DeviceId', ';GatewayHostName=edge.example;DeviceId'));
});

test('in a log of both, what was done stands before what failed then', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  fs.mkdirSync(path.join(dir, 'credentials'));
  fs.writeFileSync(path.join(dir, 'credentials/boiler-7'), `HostName=localhost;DeviceId=gw;SharedAccessKey=${KEY}`);
  const both = await run(t, '/bin/sh', ['-c', 'exec "$0" "$@" 2>&1', path.join(binaries, 'twinctl'), 'provision', file,
    ...h.signIn().slice(0, 2)]);

  assert.equal(both.code, 78);
  assert.deepEqual(both.stdout.trimEnd().split('\n').map((line) => line.replace(/: \S*\/credentials\/.*/, '')), [
    'device gateway-01: created', 'module boiler-7: created', 'twinctl provision: module boiler-7',
    'module boiler-8: created', 'module boiler-8: credential written',
  ]);
  assert.match(both.stdout, /is left alone: it is for gw on localhost; move it away/);
});

test('a wrong clock is not taken for a missing right', async (t) => {
  const script = await scripted(t);
  script.on('GET', /./, { status: 401, headers: { Date: new Date(Date.now() - 7200e3).toUTCString() } });
  const dir = folder(t);
  const file = mappingFile(dir, { host: 'localhost', port: script.port, caFile: script.caFile });
  const result = await run(t, 'twinctl', ['provision', file],
    { env: { IOTHUB_CONNECTION_STRING: `HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=${KEY}` } });
  assert.equal(result.code, 77);
  assert.match(result.stderr, /401 .*; the clock of this machine is (119|120) min before the hub's: set it\n$/);
});

test('a creation whose answer is lost is asked for again, and found done', async (t) => {
  const script = await scripted(t);
  const identity = (moduleId) => ({ deviceId: 'gateway-01', moduleId, authentication: { symmetricKey: { primaryKey: KEY } } });
  script.on('GET', /devices\/gateway-01\?/, { body: { deviceId: 'gateway-01' } }).on('GET', /modules\?/, { body: [] })
    .on('PUT', /boiler-7/, { lost: true }, { status: 409, body: { Message: 'ErrorCode:ModuleAlreadyExistsOnDevice;x' } })
    .on('GET', /boiler-7/, { body: identity('boiler-7') })
    .on('PUT', /boiler-8/, { status: 503 }, { body: identity('boiler-8') });
  const dir = folder(t);
  const file = mappingFile(dir, { host: 'localhost', port: script.port, caFile: script.caFile });

  const result = await run(t, 'twinctl', ['provision', file],
    { env: { IOTHUB_CONNECTION_STRING: `HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=${KEY}` } });

  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(fs.readdirSync(path.join(dir, 'credentials')).sort(), ['boiler-7', 'boiler-8']);
});
