// Messages: from Microsoft's device SDK to the hub, which keeps the newest, and from the hub to a device.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { until } from './lib/index.js';
import { Message, failure, openModule, sdkClient, sdkHub, subscribed } from './lib/sdk.js';

const ID = 'gateway-01/boiler-9';
const MODULE = ID.split('/');

/** What the hub has of messages, oldest first. */
async function messages(h) {
  const { status, body } = await h.rest('GET', '/hubsim/messages');
  assert.equal(status, 200, JSON.stringify(body));
  return body;
}

async function sendToDevice(h, body, headers = {}) {
  const { status, body: answer } = await h.rest('POST', '/devices/gateway-01/messages/deviceBound',
    { body, headers });
  assert.equal(status, 204, JSON.stringify(answer));
}

test('what a module sends is kept with its properties, its output, and who sent it', async (t) => {
  const h = await sdkHub(t);
  const { client } = await openModule(t, h, ID);
  const message = new Message(JSON.stringify({ temperature: 61.4 }));
  message.messageId = 'id 1';
  message.correlationId = 'c/1';
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.properties.add('k y', 'v/1&=ä');
  message.properties.add('alarm', 'true');

  await client.sendEvent(message);
  await client.sendOutputEvent('out1', new Message(Buffer.from([0, 255, 10])));
  await client.sendEvent(new Message('plain'));

  const [first, second, third] = await messages(h);
  assert.deepEqual(first.body, { temperature: 61.4 });
  assert.deepEqual(first.properties, { 'k y': 'v/1&=ä', alarm: 'true' });
  assert.deepEqual([first.deviceId, first.moduleId], MODULE);
  const { 'message-id': id, 'correlation-id': correlation, 'content-type': type, 'content-encoding': encoding,
    ...added } = first.systemProperties;
  assert.deepEqual([id, correlation, type, encoding], ['id 1', 'c/1', 'application/json', 'utf-8']);
  assert.equal(added['iothub-connection-device-id'], 'gateway-01');
  assert.equal(added['iothub-connection-module-id'], 'boiler-9');
  assert.equal(added['iothub-message-source'], 'Telemetry');
  assert.deepEqual(Buffer.from(second.bodyBase64, 'base64'), Buffer.from([0, 255, 10]));
  assert.equal(second.systemProperties['output-name'], 'out1');
  assert.equal(third.body, 'plain');
  assert.deepEqual([first.number, second.number, third.number], [1, 2, 3]);
});

test('a message of the largest size goes, a larger one does not, and ends nothing', async (t) => {
  const h = await sdkHub(t);
  const { client } = await openModule(t, h, ID);

  await client.sendEvent(new Message('x'.repeat(256 * 1024 - 100)));
  assert.equal((await failure(client.sendEvent(new Message('x'.repeat(256 * 1024 + 1))))).name,
    'MessageTooLargeError');
  await client.sendEvent(new Message('after'));

  const kept = await messages(h);
  assert.deepEqual(kept.map(({ bodyBase64 }) => Buffer.from(bodyBase64, 'base64').length), [256 * 1024 - 100, 5]);
  assert.equal((await h.seen(ID)).ended, 0);
});

test('a device and its modules send as themselves', async (t) => {
  const h = await sdkHub(t);
  const { client: module } = await openModule(t, h, ID);
  const device = await sdkClient(t, h, await h.create('gateway-01'));
  await device.open();

  await Promise.all(Array.from({ length: 20 }, (_, i) => (i % 2 ? module : device).sendEvent(new Message(`${i}`))));

  const kept = await messages(h);
  assert.equal(kept.length, 20);
  for (const { bodyBase64, deviceId, moduleId } of kept) {
    const odd = Number(Buffer.from(bodyBase64, 'base64')) % 2;
    assert.deepEqual([deviceId, moduleId], ['gateway-01', odd ? 'boiler-9' : null]);
  }
});

test('a message to a device arrives once, with its properties, and is gone when it is completed', async (t) => {
  const h = await sdkHub(t);
  const device = await sdkClient(t, h, await h.create('gateway-01'));
  await device.open();
  const received = [];
  device.on('message', (message) => {
    received.push(message);
    device.complete(message).catch((error) => device.failures.push(error));
  });
  await subscribed(h, 'gateway-01', 1);

  await sendToDevice(h, { turn: 'on' }, { 'iothub-messageid': 'm-1', 'iothub-correlationid': 'c-1',
    'hubsim-properties': 'k%20y=v%2F1&flag' });
  await sendToDevice(h, 'second');
  await until(() => received.length === 2, { what: 'both messages' });

  const [first, second] = received;
  assert.deepEqual(JSON.parse(first.getData().toString()), { turn: 'on' });
  assert.deepEqual([first.messageId, first.correlationId], ['m-1', 'c-1']);
  assert.match(first.to, /^\/devices\/gateway-01\/messages\/devicebound$/i);
  const list = first.properties.propertyList.map(({ key, value }) => [key, value]);
  assert.deepEqual(list.find(([key]) => key === 'k y'), ['k y', 'v/1']);
  assert.equal(second.getData().toString(), '"second"');
  await until(async () => (await h.registry.get('gateway-01')).responseBody.cloudToDeviceMessageCount === 0,
    { what: 'an empty queue' });
  assert.deepEqual(device.failures, []);
});

test('messages wait for a device that is away, and survive the hub', async (t) => {
  const h = await sdkHub(t);
  const connectionString = await h.create('gateway-01');
  const before = await sdkClient(t, h, connectionString);
  before.on('message', () => {});
  await before.open();
  await subscribed(h, 'gateway-01', 1);
  await before.close();
  for (const i of [1, 2, 3]) await sendToDevice(h, i);
  assert.equal((await h.registry.get('gateway-01')).responseBody.cloudToDeviceMessageCount, 3);
  await h.kill();
  await h.start();

  const device = await sdkClient(t, h, connectionString);
  const received = [];
  device.on('message', (message) => received.push(Number(message.getData())));
  await device.open();

  await until(() => received.length === 3, { what: 'three messages' });
  assert.deepEqual(received, [1, 2, 3]);
  await device.close();
});

test('a queue has room for 50 messages', async (t) => {
  const h = await sdkHub(t);
  await h.create('gateway-01');
  for (let i = 0; i < 50; i++) await sendToDevice(h, i);

  const { status, body, headers } = await h.rest('POST', '/devices/gateway-01/messages/deviceBound', { body: 50 });

  assert.equal(status, 403, JSON.stringify(body));
  assert.equal(headers['iothub-errorcode'], 'DeviceMaximumQueueDepthExceeded');
});
