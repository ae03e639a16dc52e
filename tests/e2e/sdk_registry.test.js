// Microsoft's service SDK (azure-iothub, unmodified) as the back end of hubsim.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Registry, failure, openModule, report, sdkHub } from './lib/sdk.js';

test('devices: create, get, update, list, delete, and what fails', async (t) => {
  const { registry } = await sdkHub(t);

  const { responseBody: made } = await registry.create({ deviceId: 'gateway-01' });
  assert.equal(made.deviceId, 'gateway-01');
  assert.equal(made.status, 'enabled');
  assert.match(made.generationId, /^\d+$/);
  assert.equal(Buffer.from(made.authentication.symmetricKey.primaryKey, 'base64').length, 32);
  assert.notEqual(made.authentication.symmetricKey.primaryKey, made.authentication.symmetricKey.secondaryKey);
  assert.equal((await failure(registry.create({ deviceId: 'gateway-01' }))).name, 'DeviceAlreadyExistsError');

  const { responseBody: got } = await registry.get('gateway-01');
  assert.deepEqual(JSON.parse(JSON.stringify(got)), JSON.parse(JSON.stringify(made)));
  const missing = await failure(registry.get('gateway-02'));
  assert.equal(missing.name, 'DeviceNotFoundError');
  assert.equal(missing.response.headers['iothub-errorcode'], 'DeviceNotFound');

  const { responseBody: updated } = await registry.update({ ...got, status: 'disabled', statusReason: 'moved' });
  assert.deepEqual([updated.status, updated.statusReason], ['disabled', 'moved']);
  assert.notEqual(updated.etag, made.etag);
  assert.equal(updated.generationId, made.generationId);
  assert.deepEqual(updated.authentication, made.authentication);

  await registry.create({ deviceId: 'gateway-02', authentication: { type: 'sas', symmetricKey: {
    primaryKey: Buffer.alloc(32, 1).toString('base64'), secondaryKey: Buffer.alloc(32, 2).toString('base64') } } });
  const { responseBody: list } = await registry.list();
  assert.deepEqual(list.map(({ deviceId }) => deviceId).sort(), ['gateway-01', 'gateway-02']);
  assert.equal(list.find(({ deviceId }) => deviceId === 'gateway-02').authentication.symmetricKey.primaryKey,
    Buffer.alloc(32, 1).toString('base64'));

  assert.equal((await registry.delete('gateway-01')).httpResponse?.statusCode ?? 204, 204);
  assert.equal((await failure(registry.delete('gateway-01'))).name, 'DeviceNotFoundError');
  const { responseBody: again } = await registry.create({ deviceId: 'gateway-01' });
  assert.notEqual(again.generationId, made.generationId, 'a new one of the old name');
});

test('modules: add, get, update, list, remove, and what fails', async (t) => {
  const { registry } = await sdkHub(t);
  await registry.create({ deviceId: 'gateway-01' });
  assert.deepEqual((await registry.getModulesOnDevice('gateway-01')).responseBody, []);

  const { responseBody: made } = await registry.addModule({ deviceId: 'gateway-01', moduleId: 'boiler-9' });
  assert.deepEqual([made.deviceId, made.moduleId, made.managedBy ?? null], ['gateway-01', 'boiler-9', null]);
  assert.equal((await failure(registry.addModule({ deviceId: 'gateway-01', moduleId: 'boiler-9' })))
    .response.headers['iothub-errorcode'], 'ModuleAlreadyExistsOnDevice');
  const orphan = await failure(registry.addModule({ deviceId: 'gateway-02', moduleId: 'boiler-9' }));
  assert.equal(orphan.name, 'DeviceNotFoundError');
  assert.equal((await failure(registry.getModule('gateway-01', 'boiler-8'))).message, 'Not found');

  const { responseBody: got } = await registry.getModule('gateway-01', 'boiler-9');
  assert.deepEqual(got, made);
  const { responseBody: updated } = await registry.updateModule({ ...got, managedBy: 'someone' });
  assert.equal(updated.managedBy, 'someone');
  const stale = await failure(registry.updateModule({ ...got, managedBy: 'another' }));
  assert.equal(stale.name, 'InvalidEtagError');
  const { responseBody: forced } = await registry.updateModule({ ...got, managedBy: 'another' }, true);
  assert.equal(forced.managedBy, 'another');

  await registry.addModule({ deviceId: 'gateway-01', moduleId: 'heating' });
  const { responseBody: list } = await registry.getModulesOnDevice('gateway-01');
  assert.deepEqual(list.map(({ moduleId }) => moduleId).sort(), ['boiler-9', 'heating']);
  const remove = (module) => new Promise((resolve, reject) => {
    registry.removeModule(module, (error) => (error ? reject(error) : resolve()));
  });
  assert.equal((await failure(remove(got))).name, 'InvalidEtagError', 'it has changed since');
  await remove(forced);
  await registry.removeModule('gateway-01', 'heating');
  assert.equal((await failure(registry.removeModule('gateway-01', 'heating'))).response.statusCode, 404);
  assert.deepEqual((await registry.getModulesOnDevice('gateway-01')).responseBody, []);
});

test('a device has room for 50 modules', async (t) => {
  const { registry } = await sdkHub(t);
  await registry.create({ deviceId: 'gateway-01' });
  await Promise.all(Array.from({ length: 50 }, (_, i) =>
    registry.addModule({ deviceId: 'gateway-01', moduleId: `m${i}` })));

  const error = await failure(registry.addModule({ deviceId: 'gateway-01', moduleId: 'm50' }));

  assert.equal(error.response.headers['iothub-errorcode'], 'TooManyModulesOnDevice');
  assert.equal((await registry.getModulesOnDevice('gateway-01')).responseBody.length, 50);
  await registry.removeModule('gateway-01', 'm7');
  await registry.addModule({ deviceId: 'gateway-01', moduleId: 'm50' });
});

test('twins: the etag of the twin decides, * does not ask, and tags are the back end\'s', async (t) => {
  const { registry } = await sdkHub(t);
  await registry.create({ deviceId: 'gateway-01' });
  await registry.addModule({ deviceId: 'gateway-01', moduleId: 'boiler-9' });

  const { responseBody: fresh } = await registry.getModuleTwin('gateway-01', 'boiler-9');
  assert.equal(fresh.etag, 'AAAAAAAAAAE=');
  assert.deepEqual([fresh.properties.desired.$version, fresh.properties.reported.$version], [1, 1]);
  const patch = { tags: { site: 'north' }, properties: { desired: { rate: 5, deep: { er: 1 } } } };
  const { responseBody: updated } = await registry.updateModuleTwin('gateway-01', 'boiler-9', patch, fresh.etag);
  assert.deepEqual(updated.tags, { site: 'north' });
  const { $metadata, $version, ...desired } = updated.properties.desired;
  assert.deepEqual(desired, { rate: 5, deep: { er: 1 } });
  assert.equal($version, 2);
  assert.equal($metadata.rate.$lastUpdatedVersion, 2);
  assert.match($metadata.deep.er.$lastUpdated, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z$/);

  const stale = await failure(registry.updateModuleTwin('gateway-01', 'boiler-9', patch, fresh.etag));
  assert.equal(stale.name, 'InvalidEtagError');
  assert.equal(stale.response.statusCode, 412);
  assert.equal(stale.response.headers['iothub-errorcode'], 'PreconditionFailed');
  const { responseBody: forced } = await registry.updateModuleTwin('gateway-01', 'boiler-9',
    { properties: { desired: { rate: null } } }, '*');
  assert.equal(forced.properties.desired.rate, undefined);
  await updated.update({ tags: { site: null, floor: 2 } }).then(
    () => assert.fail('the twin object holds an old etag'),
    (error) => assert.equal(error.name, 'InvalidEtagError'));
  await updated.get();
  await updated.update({ tags: { site: null, floor: 2 } });
  assert.deepEqual(updated.tags, { floor: 2 });

  const { responseBody: device } = await registry.getTwin('gateway-01');
  assert.equal(device.tags && Object.keys(device.tags).length, 0, 'the device has a twin of its own');
  const { responseBody: changed } = await registry.updateTwin('gateway-01', { tags: { a: 1 } }, device.etag);
  assert.deepEqual(changed.tags, { a: 1 });
  assert.equal((await failure(registry.getModuleTwin('gateway-01', 'boiler-8'))).message, 'Not found');
  assert.equal((await failure(registry.getTwin('gateway-02'))).name, 'DeviceNotFoundError');
});

test('a twin that is too large is refused and stays as it was', async (t) => {
  const { registry } = await sdkHub(t);
  await registry.create({ deviceId: 'gateway-01' });
  await registry.addModule({ deviceId: 'gateway-01', moduleId: 'boiler-9' });
  const update = (body) => registry.updateModuleTwin('gateway-01', 'boiler-9', body, '*');
  const parts = (count) => Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`part${i}`, 'x'.repeat(4000)]));

  await update({ properties: { desired: parts(8) }, tags: parts(2) });
  const desired = await failure(update({ properties: { desired: parts(9) } }));
  const tags = await failure(update({ tags: parts(3) }));
  const value = await failure(update({ tags: { a: 'x'.repeat(4097) } }));

  for (const error of [desired, tags])
    assert.equal(error.response.statusCode, 413, error.responseBody);
  assert.equal(value.name, 'ArgumentError');
  const { responseBody: twin } = await registry.getModuleTwin('gateway-01', 'boiler-9');
  assert.deepEqual([twin.tags, twin.properties.desired.$version], [parts(2), 2]);
});

test('a query of modules comes in pages, each once', async (t) => {
  const h = await sdkHub(t);
  const { registry } = h;
  for (const deviceId of ['gateway-01', 'gateway-02']) {
    await registry.create({ deviceId });
    for (const n of [1, 2, 3]) {
      await registry.addModule({ deviceId, moduleId: `m${n}` });
      await registry.updateModuleTwin(deviceId, `m${n}`,
        { tags: { n, odd: n % 2 === 1 }, properties: { desired: { rate: n * 10 } } }, '*');
    }
  }
  const all = async (text, pageSize) => {
    const pages = [];
    const query = registry.createQuery(text, pageSize);
    while (query.hasMoreResults) pages.push((await query.nextAsTwin()).result);
    return pages;
  };
  const names = (pages) => pages.flat().map(({ deviceId, moduleId }) => `${deviceId}/${moduleId}`).sort();
  const everyone = ['gateway-01/m1', 'gateway-01/m2', 'gateway-01/m3', 'gateway-02/m1', 'gateway-02/m2',
    'gateway-02/m3'];

  const pages = await all('SELECT * FROM devices.modules', 4);
  assert.deepEqual(pages.map((page) => page.length), [4, 2]);
  assert.deepEqual(names(pages), everyone);
  assert.deepEqual((await all('SELECT * FROM devices.modules', 3)).map((page) => page.length), [3, 3]);
  assert.deepEqual((await all('SELECT * FROM devices.modules')).map((page) => page.length), [6]);
  assert.deepEqual(names(await all("SELECT * FROM devices.modules WHERE deviceId = 'gateway-02'", 2)),
    everyone.slice(3));
  assert.deepEqual(names(await all('SELECT * FROM devices.modules WHERE tags.odd = true AND tags.n > 1')),
    ['gateway-01/m3', 'gateway-02/m3']);
  assert.deepEqual(names(await all(
    'SELECT * FROM devices.modules WHERE properties.desired.rate IN [10, 20] AND is_defined(tags.n)')).length, 4);
  assert.deepEqual(await all("SELECT * FROM devices.modules WHERE deviceId = 'gateway-03'"), [[]]);

  const [[twin]] = await all("SELECT * FROM devices.modules WHERE deviceId = 'gateway-01' AND moduleId = 'm2'");
  assert.deepEqual(JSON.parse(JSON.stringify(twin.properties.desired)),
    JSON.parse(JSON.stringify((await registry.getModuleTwin('gateway-01', 'm2')).responseBody.properties.desired)));
  await twin.update({ tags: { n: 22 } });
  assert.equal((await h.twin('gateway-01', 'm2')).tags.n, 22, 'what a query gives can be written to');

  const raw = await registry.createQuery('SELECT moduleId, tags.n AS n FROM devices.modules WHERE tags.n = 22').next();
  assert.deepEqual(raw.result, [{ moduleId: 'm2', n: 22 }]);
  assert.equal(raw.message.headers['x-ms-item-type'], 'raw');
  assert.equal((await failure(registry.createQuery('SELECT FROM').next())).name, 'ArgumentError');
});

test('a query of devices, and counts', async (t) => {
  const { registry } = await sdkHub(t);
  for (const deviceId of ['a', 'b', 'c']) {
    await registry.create({ deviceId });
    await registry.updateTwin(deviceId, { tags: { site: deviceId === 'c' ? 'south' : 'north' } }, '*');
  }

  const { result: north } = await registry.createQuery(
    "SELECT * FROM devices WHERE tags.site = 'north'").nextAsTwin();
  assert.deepEqual(north.map(({ deviceId }) => deviceId).sort(), ['a', 'b']);
  const { result: counted } = await registry.createQuery(
    'SELECT tags.site AS site, COUNT() AS n FROM devices GROUP BY tags.site').next();
  assert.deepEqual(counted.sort((x, y) => x.n - y.n), [{ site: 'south', n: 1 }, { site: 'north', n: 2 }]);
});

test('devices in bulk: add, update, remove, and what fails in between', async (t) => {
  const { registry } = await sdkHub(t);
  const ids = ['a', 'b', 'c'];
  const names = async () => (await registry.list()).responseBody.map(({ deviceId }) => deviceId).sort();

  const { responseBody: added } = await registry.addDevices(ids.map((deviceId) => ({ deviceId })));
  assert.equal(added.isSuccessful, true);
  assert.deepEqual(added.errors, []);
  assert.deepEqual(await names(), ids);

  const twice = await failure(registry.addDevices([{ deviceId: 'a' }, { deviceId: 'd' }]));
  assert.equal(twice.name, 'ArgumentError');
  const answer = JSON.parse(twice.responseBody);
  assert.equal(answer.isSuccessful, false);
  assert.deepEqual(answer.errors.map(({ deviceId, errorCode }) => [deviceId, String(errorCode)])
    .map(([id, code]) => [id, /DeviceAlreadyExists|409001/.test(code)]), [['a', true]]);
  assert.deepEqual(await names(), ['a', 'b', 'c', 'd'], 'the others are done');

  const { responseBody: updated } = await registry.updateDevices([{ deviceId: 'b', status: 'disabled' }], true);
  assert.equal(updated.isSuccessful, true);
  assert.equal((await registry.get('b')).responseBody.status, 'disabled');
  const { responseBody: removed } = await registry.removeDevices(['a', 'd'].map((deviceId) => ({ deviceId })), true);
  assert.equal(removed.isSuccessful, true);
  assert.deepEqual(await names(), ['b', 'c']);
});

test('statistics count devices', async (t) => {
  const { registry } = await sdkHub(t);
  await registry.create({ deviceId: 'a' });
  await registry.create({ deviceId: 'b', status: 'disabled' });

  const { responseBody } = await registry.getRegistryStatistics();

  assert.deepEqual(responseBody, { totalDeviceCount: 2, enabledDeviceCount: 1, disabledDeviceCount: 1 });
});

test('what a policy may not do is UnauthorizedError', async (t) => {
  const h = await sdkHub(t);
  await h.create('gateway-01', 'boiler-9');
  const as = (policy) => Registry.fromConnectionString(h.policies[policy]);
  const read = (registry) => registry.get('gateway-01');
  const write = (registry) => registry.addModule({ deviceId: 'gateway-01', moduleId: `m${Math.random()}` });
  const twin = (registry) => registry.getModuleTwin('gateway-01', 'boiler-9');
  const allowed = {
    iothubowner: [read, write, twin], service: [twin], device: [], registryRead: [read],
    registryReadWrite: [read, write],
  };

  for (const [policy, may] of Object.entries(allowed)) {
    for (const operation of [read, write, twin]) {
      const outcome = await operation(as(policy)).then(() => 'done', (error) => error.name);
      assert.equal(outcome, may.includes(operation) ? 'done' : 'UnauthorizedError', `${policy} ${operation}`);
    }
  }
  const wrongKey = h.policies.service.replace(/SharedAccessKey=.*/,
    `SharedAccessKey=${Buffer.alloc(32).toString('base64')}`);
  assert.equal((await failure(twin(Registry.fromConnectionString(wrongKey)))).name, 'UnauthorizedError');
});

test('the back end sees a module come, report and go', async (t) => {
  const h = await sdkHub(t);
  const twinNow = async () => (await h.registry.getModuleTwin('gateway-01', 'boiler-9')).responseBody;
  const { client, twin } = await openModule(t, h, 'gateway-01/boiler-9',
    { options: { modelId: 'dtmi:com:example:Gw;1', productInfo: 'gw/1.0 (x;y)' } });

  assert.equal((await twinNow()).connectionState, 'Connected');
  assert.equal((await twinNow()).modelId, 'dtmi:com:example:Gw;1');
  const { etag } = await twinNow();
  await report(twin, { a: 1 });
  const { responseBody: after } = await h.registry.updateModuleTwin('gateway-01', 'boiler-9',
    { tags: { b: 2 } }, etag);
  assert.equal(after.properties.reported.a, 1, 'what a module reports breaks no If-Match');
  await client.close();
  assert.equal((await twinNow()).connectionState, 'Disconnected');
});
