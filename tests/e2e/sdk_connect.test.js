// Connections as Microsoft's device SDK makes, renews and loses them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { parts, token, until } from './lib/index.js';
import { ModuleClient, SharedAccessKeyAuthenticationProvider, desiredPatches, failure, next, openModule,
  report, sdkClient, sdkClientOfProvider, sdkClientOfToken, sdkHub } from './lib/sdk.js';

const ID = 'gateway-01/boiler-9';
const MODULE = ID.split('/');

/** Waits until the identity has connected more than `count` times and is connected. */
async function connectedAgain(h, count) {
  await until(async () => (await h.seen(ID)).connects > count, { what: `connection ${count + 1}` });
  await until(async () => (await h.twin(...MODULE)).connectionState === 'Connected', { what: 'the connection' });
}

test('a token is renewed under way, and the session goes on without another SUBSCRIBE', async (t) => {
  const h = await sdkHub(t);
  const connectionString = await h.create(...MODULE);
  // 2 s after it was made the token is replaced by itself; it would be good for 4 s more.
  const provider = SharedAccessKeyAuthenticationProvider.fromConnectionString(connectionString, 6, 4);
  const client = await sdkClientOfProvider(t, h, provider);
  await client.open();
  const twin = await client.getTwin();
  const desired = await desiredPatches(h, ID, twin);
  await h.desire(...MODULE, { round: 0 });
  assert.deepEqual(await desired.next(), { round: 0, $version: 2 });

  await connectedAgain(h, 1);
  await h.desire(...MODULE, { round: 1 });
  assert.deepEqual(await desired.next(), { round: 1, $version: 3 });
  await report(twin, { round: 1 });

  const { connects } = await h.seen(ID);
  provider.setTokenRenewalValues(3600, 900); // renews at once, and not again in this test
  await connectedAgain(h, connects);
  await h.desire(...MODULE, { round: 2 });
  assert.deepEqual(await desired.next(), { round: 2, $version: 4 });
  await report(twin, { round: 2 });

  assert.equal((await h.seen(ID)).subscribed, 2, 'twin/res and desired, once, on the first connection');
  assert.deepEqual(await h.reported(...MODULE), { round: 2 });
  assert.deepEqual(client.failures, []);
});

test('a token that is not renewed ends the connection when it ends', async (t) => {
  const h = await sdkHub(t);
  const { SharedAccessKey } = parts(await h.create(...MODULE));
  const resource = `${h.host}/devices/gateway-01/modules/boiler-9`;

  const client = await sdkClientOfToken(t, h, ModuleClient, token(resource, SharedAccessKey, { lifetime: 2 }));
  const lost = next(client, 'disconnect');
  await client.open();
  await lost;

  assert.match(h.program.stderr, /closed: .*token/);
});

test('the grace after the end of a token is an option', async (t) => {
  const h = await sdkHub(t, { args: ['--expiry-grace', '300'] });
  const { SharedAccessKey } = parts(await h.create(...MODULE));
  const resource = `${h.host}/devices/gateway-01/modules/boiler-9`;

  const late = await sdkClientOfToken(t, h, ModuleClient, token(resource, SharedAccessKey, { lifetime: -200 }));
  await late.open();
  const tooLate = await sdkClientOfToken(t, h, ModuleClient, token(resource, SharedAccessKey, { lifetime: -302 }));

  assert.equal((await failure(tooLate.open())).name, 'UnauthorizedError');
});

test('a hub whose clock is wrong refuses tokens, until it is right', async (t) => {
  const h = await sdkHub(t);
  const connectionString = await h.create(...MODULE);

  await h.fault('* clock 7200');
  const early = await sdkClient(t, h, connectionString, { retry: false });
  assert.equal((await failure(early.open())).name, 'UnauthorizedError');
  await until(() => /refused \(5\): the token has expired/.test(h.program.stderr), { what: 'a reason' });
  await h.fault('* clock -7200');
  const late = await sdkClient(t, h, connectionString, { retry: false });
  await late.open();
  await h.fault('* clock 0');
  const stamp = Date.parse((await h.twin(...MODULE)).lastActivityTime);

  assert.ok(Math.abs(stamp + 7200_000 - Date.now()) < 60_000, 'what it did it did two hours ago');
});

test('a connection that is dropped behind a packet: it was taken, and never answered', async (t) => {
  const h = await sdkHub(t);
  const { client, twin } = await openModule(t, h, ID, { retry: false });
  const lost = next(client, 'disconnect');

  await h.fault(`${ID} drop-after 1`);
  twin.properties.reported.update({ a: 1 }, () => {});
  await lost;

  assert.deepEqual(await h.reported(...MODULE), { a: 1 });
});

test('whom the hub does not know, it does not let in: UnauthorizedError', async (t) => {
  const h = await sdkHub(t);
  const mine = await h.create(...MODULE);
  const other = parts(await h.create('gateway-01', 'boiler-8')).SharedAccessKey;
  const { SharedAccessKey } = parts(mine);
  const signed = (resource, key = SharedAccessKey, options) =>
    sdkClientOfToken(t, h, ModuleClient, token(`${h.host}/${resource}`, key, options));
  const cases = [
    ['another key', sdkClient(t, h, mine.replace(SharedAccessKey, other), { retry: false })],
    ['no such module', sdkClient(t, h, mine.replace('boiler-9', 'boiler-7'), { retry: false })],
    ['no such device', sdkClient(t, h, mine.replace('gateway-01', 'gateway-02'), { retry: false })],
    ['ids have a case', sdkClient(t, h, mine.replace('boiler-9', 'Boiler-9'), { retry: false })],
    ['over', signed('devices/gateway-01/modules/boiler-9', SharedAccessKey, { lifetime: -1 })],
  ];

  for (const [what, making] of cases) {
    const client = await making;
    const error = await failure(client.open());
    assert.equal(error.name, 'UnauthorizedError', what);
    assert.match(error.message, /Connection refused: Not authorized/, what);
  }
});

test('the codes of CONNACK become the errors that the SDK has for them', async (t) => {
  const h = await sdkHub(t);
  const connectionString = await h.create(...MODULE);

  for (const [code, name] of [[1, 'NotImplementedError'], [2, 'UnauthorizedError'],
    [3, 'ServiceUnavailableError'], [4, 'UnauthorizedError'], [5, 'UnauthorizedError']]) {
    await h.fault(`${ID} refuse ${code} 1`);
    const client = await sdkClient(t, h, connectionString, { retry: false });
    assert.equal((await failure(client.open())).name, name, `CONNACK ${code}`);
    await client.open();
    await client.close();
  }
});

test('a first connection that is refused with 3 is tried again by the SDK, one with 5 is not', async (t) => {
  const h = await sdkHub(t);
  const connectionString = await h.create(...MODULE);

  await h.fault(`${ID} refuse 3 2`);
  const patient = await sdkClient(t, h, connectionString);
  await patient.open();
  assert.equal((await h.seen(ID)).refused, 2);
  await patient.close();

  await h.fault(`${ID} refuse 5 1`);
  const refused = await sdkClient(t, h, connectionString);
  assert.equal((await failure(refused.open())).name, 'UnauthorizedError');
  assert.equal((await h.seen(ID)).refused, 3);
});

test('a device that is disabled is cut off, kept out with 3, and let in when it is enabled', async (t) => {
  const h = await sdkHub(t);
  const { client } = await openModule(t, h, ID, { retry: false });
  const lost = next(client, 'disconnect');
  const { responseBody: device } = await h.registry.get('gateway-01');

  await h.registry.update({ ...device, status: 'disabled' });
  await lost;
  const again = await sdkClient(t, h, await h.create(...MODULE), { retry: false });
  assert.equal((await failure(again.open())).name, 'ServiceUnavailableError');
  await h.registry.update({ ...device, status: 'enabled' });
  await again.open();

  const twin = await again.getTwin();
  assert.equal(twin.properties.desired.$version, 1);
});

test('of two connections of one identity the older is dropped', async (t) => {
  const h = await sdkHub(t);
  const older = await openModule(t, h, ID, { retry: false });
  const neighbour = await openModule(t, h, 'gateway-01/boiler-8', { retry: false });
  const lost = next(older.client, 'disconnect');
  const newer = await openModule(t, h, ID, { retry: false });

  await lost;
  const desired = await desiredPatches(h, ID, newer.twin, 3); // res of both, desired of the newer
  await h.desire(...MODULE, { a: 1 });
  assert.deepEqual(await desired.next(), { a: 1, $version: 2 });
  await report(newer.twin, { a: 1 });
  await report(neighbour.twin, { a: 2 });

  const { connects, ended } = await h.seen(ID);
  assert.deepEqual([connects, ended], [2, 1]);
  assert.equal((await h.seen('gateway-01/boiler-8')).ended, 0);
});

test('a hub that is killed and comes back has sessions and twins as they were', async (t) => {
  const h = await sdkHub(t);
  const { client, twin } = await openModule(t, h, ID);
  const desired = await desiredPatches(h, ID, twin);
  await report(twin, { a: 1 });
  await h.desire(...MODULE, { b: 2 });
  assert.deepEqual(await desired.next(), { b: 2, $version: 2 });

  await h.kill();
  await h.start();
  await connectedAgain(h, 0); // the SDK comes back by itself
  await h.desire(...MODULE, { c: 3 });

  assert.deepEqual(await desired.next(), { c: 3, $version: 3 });
  assert.equal((await h.seen(ID)).subscribed, 0, 'since the hub started nobody subscribed');
  const again = await client.getTwin();
  assert.deepEqual(JSON.parse(JSON.stringify(again.properties)),
    { desired: { b: 2, c: 3, $version: 3 }, reported: { a: 1, $version: 2 } });
});
