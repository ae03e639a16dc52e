// twinctl device and twinctl module: identities are made, shown without their secrets, and deleted exactly.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hub, run, scripted } from './lib/index.js';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const SIGN_IN = `HostName=localhost;SharedAccessKeyName=iothubowner;SharedAccessKey=${KEY}`;

const ctlOf = (t, h) => (...args) => run(t, 'twinctl', [...args, ...h.signIn()]);

test('devices and modules are created once, and shown without their keys', async (t) => {
  const h = await hub(t);
  const ctl = ctlOf(t, h);

  const orphan = await ctl('module', 'create', 'gw/heating');
  assert.deepEqual([orphan.code, orphan.stdout], [66, '']);
  assert.match(orphan.stderr, /there is no device gw; make it with twinctl device create gw\n$/);
  assert.equal((await ctl('device', 'list')).stdout, 'no devices\n');
  assert.equal((await ctl('device', 'create', 'gw')).stdout, 'gw: device created\n');
  assert.equal((await ctl('module', 'list', 'gw')).stdout, 'no modules\n');

  const created = await ctl('module', 'create', 'gw/heating', '--show-keys');
  assert.equal(created.code, 0, created.stderr);
  const connectionString = created.stdout.split('\n')[1];
  assert.equal(connectionString, await h.create('gw', 'heating'), 'which the hub would tell too');

  const again = await ctl('module', 'create', 'gw/heating');
  assert.equal(again.code, 65);
  assert.match(again.stderr, /^twinctl module create: gw\/heating: 409 the module exists already; --if-missing keeps it\n$/);
  const kept = await ctl('module', 'create', 'gw/heating', '--if-missing', '--show-keys');
  assert.deepEqual([kept.code, kept.stdout], [0, `gw/heating: module exists, kept\n${connectionString}\n`]);

  const alone = await ctl('module', 'show', 'gw/heating', '--connection-string');
  assert.equal(alone.stdout, connectionString + '\n');
  const secret = connectionString.match(/SharedAccessKey=(.*)$/)[1];
  for (const args of [['module', 'show', 'gw/heating'], ['module', 'show', 'gw/heating', '--json'],
    ['module', 'list', 'gw'], ['module', 'list', 'gw', '--json'], ['device', 'show', 'gw', '--json'],
    ['device', 'list', '--json'], ['module', 'create', 'gw/heating', '--if-missing', '--json']]) {
    const shown = await ctl(...args);
    assert.equal(shown.code, 0, shown.stderr);
    assert.ok(!shown.stdout.includes(secret) && !/(primary|secondary)Key/.test(shown.stdout), `${args}`);
    if (args.includes('--json')) JSON.parse(shown.stdout);
  }
  const keys = await ctl('module', 'show', 'gw/heating', '--json', '--show-keys');
  assert.equal(JSON.parse(keys.stdout).authentication.symmetricKey.primaryKey, secret);
});

test('lists are tables for people and arrays for scripts', async (t) => {
  const h = await hub(t);
  for (const module of ['b1', 'b2', 'b3']) await h.create('gw', module);
  await h.create('other');
  const ctl = ctlOf(t, h);

  const devices = await ctl('device', 'list');
  assert.match(devices.stdout, /^ {2}DEVICE +STATUS +STATE +LAST ACTIVE +SIGNS IN WITH\n {2}gw +enabled +Disconnected +never +sas$/m);
  assert.match(devices.stdout, /^ {2}other /m);
  const limited = await ctl('device', 'list', '--limit', '1', '--json');
  assert.deepEqual(JSON.parse(limited.stdout).map(({ deviceId }) => deviceId), ['gw']);
  const modules = await ctl('module', 'list', 'gw', '--json');
  assert.deepEqual(JSON.parse(modules.stdout).map(({ moduleId }) => moduleId).sort(), ['b1', 'b2', 'b3']);
  assert.equal(JSON.parse((await ctl('module', 'list', 'gw', '--limit', '2', '--json')).stdout).length, 2);
  const shown = await ctl('module', 'show', 'gw/b1');
  assert.match(shown.stdout, /^gw\/b1: module of localhost\n {2}state +Disconnected\n {2}last active +never\n {2}signs in with +sas\n/);
});

test('a wrong name is said with where the right ones are', async (t) => {
  const h = await hub(t);
  await h.create('gw', 'heating');
  const ctl = ctlOf(t, h);

  for (const [args, message] of [
    [['module', 'show', 'gw/heatign'], /gw\/heatign: 404 ModuleNotFound: .*check the names: twinctl module list gw shows them/],
    [['module', 'show', 'wg/heating'], /wg\/heating: 404 .*; check the name/],
    [['module', 'delete', 'gw/heatign'], /404 ModuleNotFound/],
    [['device', 'show', 'wg'], /wg: 404 DeviceNotFound: .*check the name: twinctl device list shows them/],
    [['device', 'delete', 'wg'], /404 DeviceNotFound/],
    [['twin', 'get', 'gw/heatign'], /404 ModuleNotFound: .*twinctl module list gw shows them/],
    [['twin', 'update', 'gw/heatign', 'a=1'], /404 ModuleNotFound/],
    [['watch', 'gw/heatign'], /404 ModuleNotFound/],
  ]) {
    const result = await ctl(...args);
    assert.equal(result.code, 66, `${args}: ${result.stderr}`);
    assert.match(result.stderr, message);
    assert.match(result.stderr, /^[^\n]+\n$/);
    assert.equal(result.stdout, '');
  }
});

test('a delete says what went along', async (t) => {
  const h = await hub(t);
  for (const module of ['b1', 'b2', 'b3']) await h.create('gw', module);
  const ctl = ctlOf(t, h);

  const module = await ctl('module', 'delete', 'gw/b1');
  assert.deepEqual([module.code, module.stdout], [0, 'gw/b1: module deleted\n']);
  assert.equal((await h.rest('GET', '/devices/gw/modules/b1')).status, 404);
  const json = await ctl('module', 'delete', 'gw/b2', '--json');
  assert.deepEqual(JSON.parse(json.stdout), { deviceId: 'gw', moduleId: 'b2', result: 'deleted' });
  await h.create('gw', 'b4');
  const device = await ctl('device', 'delete', 'gw');
  assert.equal(device.code, 0, device.stderr);
  assert.match(device.stdout, /^gw: device deleted, and with it 2 modules: b3, b4\n$/);
  assert.equal((await h.rest('GET', '/devices/gw')).status, 404);
});

test('a delete hits what was looked at, and nothing made since', async (t) => {
  const h = await hub(t);
  await h.create('gw', 'heating');
  const stale = (await h.rest('GET', '/devices/gw/modules/heating')).body.etag;
  await h.rest('DELETE', '/devices/gw/modules/heating', { etag: '*' });
  await h.create('gw', 'heating');
  const ctl = ctlOf(t, h);

  const lost = await ctl('module', 'delete', 'gw/heating', '--etag', stale);
  assert.equal(lost.code, 75, lost.stderr);
  assert.match(lost.stderr, /^twinctl module delete: gw\/heating: 412 somebody else changed the module, or made it anew/);
  assert.equal((await h.rest('GET', '/devices/gw/modules/heating')).status, 200);
  assert.equal((await ctl('module', 'delete', 'gw/heating', '--force')).code, 0);

  const script = await scripted(t);
  script.on('GET', /modules\?/, { body: [] }).on('GET', /devices\/gw\?/, { body: { deviceId: 'gw', etag: 'MTIz' } })
    .on('DELETE', /./, { status: 204 });
  const bound = await run(t, 'twinctl', ['device', 'delete', 'gw', '--port', String(script.port), '--ca-file', script.caFile],
    { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });
  assert.equal(bound.code, 0, bound.stderr);
  assert.equal(script.of('DELETE')[0].headers['if-match'], '"MTIz"');
});

test('a device is disabled and enabled, and keeps its keys', async (t) => {
  const h = await hub(t);
  const before = await h.create('gw');
  const ctl = ctlOf(t, h);

  const off = await ctl('device', 'disable', 'gw', '--reason', 'lost in the field');
  assert.deepEqual([off.code, off.stdout], [0, 'gw: device disabled\n']);
  const { body } = await h.rest('GET', '/devices/gw');
  assert.deepEqual([body.status, body.statusReason], ['disabled', 'lost in the field']);
  assert.match((await ctl('device', 'show', 'gw')).stdout, /^ {2}status +disabled\n {2}reason +lost in the field$/m);
  assert.match((await ctl('twin', 'get', 'gw')).stdout, /, disabled/);

  const on = await ctl('device', 'enable', 'gw', '--json');
  const identity = JSON.parse(on.stdout);
  assert.equal(identity.status, 'enabled');
  assert.equal(identity.etag, (await h.rest('GET', '/devices/gw')).body.etag, 'the new one');
  assert.equal(identity.authentication.symmetricKey, undefined);
  assert.equal(await h.create('gw'), before);
});

test('a name that an address gives another meaning reaches nobody', async (t) => {
  const h = await hub(t);
  await h.create('gw', 'heating');
  const ctl = ctlOf(t, h);

  for (const name of ['gw/..', 'gw/.', '../heating', './heating'])
    for (const verb of [['module', 'delete'], ['module', 'show'], ['twin', 'get'], ['twin', 'update'], ['method']]) {
      const result = await ctl(...verb, name, ...(verb[1] === 'update' ? ['a=1'] : verb[1] ? [] : ['go']));
      assert.equal(result.code, 64, `${verb} ${name}: ${result.stdout}`);
      assert.match(result.stderr, /^[^\n]*'\.' and '\.\.' cannot be asked for[^\n]*\n$/);
    }
  assert.equal((await ctl('device', 'delete', '..')).code, 64);
  assert.equal((await h.rest('GET', '/devices/gw')).status, 200, 'a module .. is not its device');

  const odd = await ctl('device', 'show', 'a\nb');
  assert.equal(odd.code, 64);
  assert.match(odd.stderr, /^twinctl device show: an id of a hub holds no control characters\n$/);
});

test('what goes to scripts is JSON, or nothing', async (t) => {
  const h = await hub(t);
  await h.create('gw', 'heating');
  const both = await ctlOf(t, h)('module', 'show', 'gw/heating', '--json', '--connection-string');
  assert.equal(both.code, 64);
  assert.equal(both.stdout, '');
  assert.match(both.stderr, /exclude each other/);
});

test('a reason is measured in characters', async (t) => {
  const script = await scripted(t);
  script.on('GET', /devices\/gw\?/, { body: { deviceId: 'gw', etag: 'MTIz' } }).on('PUT', /./, { body: { deviceId: 'gw' } });
  const disable = (reason) => run(t, 'twinctl', ['device', 'disable', 'gw', '--reason', reason, '--port', String(script.port),
    '--ca-file', script.caFile], { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });

  const longest = await disable('ä'.repeat(128));
  assert.equal(longest.code, 0, longest.stderr);
  assert.equal(JSON.parse(script.of('PUT')[0].body).statusReason, 'ä'.repeat(128));
  assert.equal((await disable('ä'.repeat(129))).code, 64);
});

test('a change whose answer is lost is not said to be somebody else\'s', async (t) => {
  const script = await scripted(t);
  script.on('GET', /devices\/gw\?/, { body: { deviceId: 'gw', etag: 'MTIz' } })
    .on('PUT', /./, { lost: true }, { status: 412, body: { Message: 'ErrorCode:PreconditionFailed;etag' } });
  const result = await run(t, 'twinctl', ['device', 'disable', 'gw', '--port', String(script.port), '--ca-file', script.caFile],
    { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });
  assert.equal(result.code, 75, result.stderr);
  assert.match(result.stderr, /412 .*an earlier try, whose answer was lost, may have done it: look again\n$/);
});
