// The twin of a module, seen by Microsoft's device SDK on one side and its service SDK on the other.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { desiredPatches, failure, openModule, report, sdkClient, sdkHub } from './lib/sdk.js';

const ID = 'gateway-01/boiler-9';
const MODULE = ID.split('/');

/** What the device SDK holds of a twin, without its functions. */
function properties(twin) {
  return JSON.parse(JSON.stringify(twin.properties));
}

test('a module gets its twin, reports, and hears what its back end desires', async (t) => {
  const h = await sdkHub(t);
  const { client, twin } = await openModule(t, h, ID);
  assert.deepEqual(properties(twin), { desired: { $version: 1 }, reported: { $version: 1 } });

  await report(twin, { temperature: 61.4, health: { state: 'online', error: '' } });
  await report(twin, { health: { error: null } });
  assert.deepEqual(await h.reported(...MODULE), { temperature: 61.4, health: { state: 'online' } });

  const desired = await desiredPatches(h, ID, twin);
  const patch = async (body, etag = '*') =>
    (await h.registry.updateModuleTwin(...MODULE, body, etag)).responseBody;
  const before = await patch({ tags: { site: 'north' } }); // of which the module hears nothing
  const after = await patch({ properties: { desired: { setpoint: 21.5, mode: { night: true, day: 1 } } } },
    before.etag);
  assert.deepEqual(await desired.next(), { setpoint: 21.5, mode: { night: true, day: 1 }, $version: 2 });
  assert.equal(after.properties.desired.$version, 2);
  assert.notEqual(after.etag, before.etag);

  await patch({ properties: { desired: { setpoint: 21.5 } } });
  assert.deepEqual(await desired.next(), { setpoint: 21.5, $version: 3 }, 'the same value again is said again');
  await patch({ properties: { desired: { mode: { night: null } } } });
  assert.deepEqual(await desired.next(), { mode: { night: null }, $version: 4 });
  assert.deepEqual(properties(twin).desired, { setpoint: 21.5, mode: { day: 1 }, $version: 4 });

  await client.close();
  const { connectionState, properties: stored } = (await h.registry.getModuleTwin(...MODULE)).responseBody;
  assert.equal(connectionState, 'Disconnected');
  assert.equal(stored.reported.$version, 3);
  const counts = await h.seen(ID);
  assert.deepEqual([counts.connects, counts.subscribed], [1, 2]);
  assert.deepEqual(client.failures, []);
});

test('a replaced twin reaches the module as the difference, what is gone as null', async (t) => {
  const h = await sdkHub(t);
  const { twin } = await openModule(t, h, ID);
  const desired = await desiredPatches(h, ID, twin);
  const replace = (body) => h.rest('PUT', `/twins/gateway-01/modules/boiler-9`, { body, etag: '*' });

  assert.equal((await replace({ properties: { desired: { a: 1, b: 2, deep: { x: 1, y: 2 } } } })).status, 200);
  assert.deepEqual(await desired.next(), { a: 1, b: 2, deep: { x: 1, y: 2 }, $version: 2 });
  assert.equal((await replace({ properties: { desired: { a: 1, c: 100, deep: { x: 1 } } } })).status, 200);
  const difference = await desired.next();
  assert.deepEqual([difference.b, difference.c, difference.deep.y, difference.$version], [null, 100, null, 3]);

  assert.deepEqual(properties(twin).desired, { a: 1, c: 100, deep: { x: 1 }, $version: 3 });
});

test('getTwin gives the whole of both sections, in every type that a twin has', async (t) => {
  const h = await sdkHub(t);
  const { client, twin } = await openModule(t, h, ID);
  const values = { int: -4503599627370496, float: 0.1, yes: true, no: false, text: 'ä €', empty: {},
    list: [true, 1.5, 'text', { n: -1 }, []] };

  await report(twin, values);
  await h.desire(...MODULE, values);

  assert.deepEqual(properties(await client.getTwin()),
    { desired: { ...values, $version: 2 }, reported: { ...values, $version: 2 } });
});

test('a module that was away gets what it missed, and only hears what comes then', async (t) => {
  const h = await sdkHub(t);
  const connectionString = await h.create(...MODULE);
  await h.desire(...MODULE, { a: 1 });
  const { twin } = await openModule(t, h, ID);
  assert.deepEqual(properties(twin).desired, { a: 1, $version: 2 });

  const desired = await desiredPatches(h, ID, twin);
  await h.desire(...MODULE, { b: 2 });
  assert.deepEqual(await desired.next(), { b: 2, $version: 3 }, 'the first that it hears is the first since');
  assert.equal(connectionString, await h.create(...MODULE));
});

test('a reported patch that breaks a limit is refused whole, and the connection stays', async (t) => {
  const h = await sdkHub(t);
  const { client, twin } = await openModule(t, h, ID);
  await report(twin, { kept: 1 });
  const large = (count) => Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`part${i}`, 'x'.repeat(4000)]));
  const refused = [
    { kept: 2, big: large(9) }, // over 32 KB
    { kept: 2, text: 'x'.repeat(4097) },
    { kept: 2, number: 4503599627370496 },
    { kept: 2, ['k'.repeat(1025)]: 1 },
    { kept: 2, 'a.b': 1 },
    { kept: 2, $version: 7 },
    { kept: 2, l1: { l2: { l3: { l4: { l5: { l6: { l7: { l8: { l9: { l10: { l11: {} } } } } } } } } } } },
  ];

  for (const patch of refused) {
    const error = await failure(report(twin, patch));
    assert.ok(error.message.length > 10, `${Object.keys(patch)[1]}: the hub says why: ${error.message}`);
  }

  assert.deepEqual(await h.reported(...MODULE), { kept: 1 });
  await report(twin, large(8));
  const counts = await h.seen(ID);
  assert.deepEqual([counts.connects, counts.ended], [1, 0]);
  assert.deepEqual(client.failures, []);
});

test('ids of every allowed kind reach the twin that they name', async (t) => {
  const h = await sdkHub(t);
  for (const id of ['Gw.1-a_b:c/m%1=@$', "gw!(*)'/m,1?#+", 'gw%2F1/a']) {
    const [deviceId, moduleId] = id.split('/');
    await h.registry.create({ deviceId });
    const { responseBody: module } = await h.registry.addModule({ deviceId, moduleId });
    const client = await sdkClient(t, h, `HostName=${h.host};DeviceId=${deviceId};ModuleId=${moduleId};` +
      `SharedAccessKey=${module.authentication.symmetricKey.primaryKey}`);
    await client.open();
    const twin = await client.getTwin();
    await report(twin, { i: id });

    const { responseBody: stored } = await h.registry.getModuleTwin(deviceId, moduleId);
    assert.deepEqual([stored.deviceId, stored.moduleId, stored.properties.reported.i], [deviceId, moduleId, id]);
    await client.close();
  }
});
