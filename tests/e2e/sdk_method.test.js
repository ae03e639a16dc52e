// Direct methods between Microsoft's service SDK and its device SDK.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ServiceClient, failure, next, openModule, sdkClient, sdkHub, subscribed } from './lib/sdk.js';

const ID = 'gateway-01/boiler-9';
const MODULE = ID.split('/');

function service(h, policy = 'service') {
  return ServiceClient.fromConnectionString(h.policies[policy]);
}

/** The module's method `name`, answered by `answer(request, response)`; resolves when the hub knows. */
async function method(h, client, name, answer, subscriptions = 2) {
  client.onMethod(name, answer);
  await subscribed(h, ID, subscriptions);
}

test('a method reaches the module, and its answer the caller', async (t) => {
  const h = await sdkHub(t);
  const { client } = await openModule(t, h, ID);
  const asked = [];
  await method(h, client, 'reboot', (request, response) => {
    asked.push([request.methodName, request.payload]);
    response.send(200, { done: true, what: request.payload });
  });
  client.onMethod('refuse', (request, response) => response.send(403, 'not now'));
  client.onMethod('plain', (request, response) => response.send(204));

  const invoke = async (params) => (await service(h).invokeDeviceMethod(...MODULE, params)).result;
  assert.deepEqual(await invoke({ methodName: 'reboot', payload: { delay: 5, list: [1, null] } }),
    { status: 200, payload: { done: true, what: { delay: 5, list: [1, null] } } });
  assert.deepEqual(await invoke({ methodName: 'reboot', payload: 'text' }),
    { status: 200, payload: { done: true, what: 'text' } });
  assert.deepEqual(await invoke({ methodName: 'refuse' }), { status: 403, payload: 'not now' });
  assert.deepEqual(await invoke({ methodName: 'plain', payload: 0 }), { status: 204, payload: null });
  assert.deepEqual(asked, [['reboot', { delay: 5, list: [1, null] }], ['reboot', 'text']]);
});

test('many methods at a time are each answered to their caller, in any order', async (t) => {
  const h = await sdkHub(t);
  const { client } = await openModule(t, h, ID);
  const waiting = [];
  await method(h, client, 'echo', (request, response) => {
    waiting.push(() => response.send(200, request.payload));
    if (waiting.length === 20)
      for (const answer of waiting.reverse()) answer();
  });

  const caller = service(h);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) =>
    caller.invokeDeviceMethod(...MODULE, { methodName: 'echo', payload: { i } })));

  assert.deepEqual(answers.map(({ result }) => result.payload.i), Array.from({ length: 20 }, (_, i) => i));
});

test('a module that is away, or takes no methods, is not online: 404103', async (t) => {
  const h = await sdkHub(t);
  await h.create(...MODULE);
  const invoke = (...where) => failure(service(h).invokeDeviceMethod(...where, { methodName: 'reboot' }));
  const offline = (error) => {
    assert.equal(error.response.statusCode, 404);
    assert.match(error.responseBody, /404103/);
    assert.equal(error.message, 'Not found', 'what this SDK makes of it');
  };

  offline(await invoke(...MODULE));
  const { client } = await openModule(t, h, ID); // connected, and no method yet
  offline(await invoke(...MODULE));
  await method(h, client, 'reboot', (request, response) => response.send(200));
  await client.close();
  offline(await invoke(...MODULE));
  offline(await invoke('gateway-01'));
});

test('a caller may wait for a module to come', async (t) => {
  const h = await sdkHub(t);
  const connectionString = await h.create(...MODULE);
  const result = service(h).invokeDeviceMethod(...MODULE,
    { methodName: 'hello', payload: 1, connectTimeoutInSeconds: 20 });
  const client = await sdkClient(t, h, connectionString);
  client.onMethod('hello', (request, response) => response.send(200, request.payload + 1));
  await client.open();

  assert.deepEqual((await result).result, { status: 200, payload: 2 });
  const late = await failure(service(h).invokeDeviceMethod('gateway-01',
    { methodName: 'hello', connectTimeoutInSeconds: 1 }));
  assert.match(late.responseBody, /404103/);
});

test('an answer that does not come is a time-out: 504, and a late one is dropped', async (t) => {
  const h = await sdkHub(t);
  const { client } = await openModule(t, h, ID);
  const { client: leaving } = await openModule(t, h, 'gateway-01/boiler-8');
  let late;
  await method(h, client, 'silent', (request, response) => {
    late = response;
  });
  client.onMethod('quick', (request, response) => response.send(200, 'still here'));
  leaving.onMethod('silent', () => leaving.close());
  await subscribed(h, 'gateway-01/boiler-8', 2);

  const [silent, left] = await Promise.all(['boiler-9', 'boiler-8'].map((module) => failure(
    service(h).invokeDeviceMethod('gateway-01', module, { methodName: 'silent', responseTimeoutInSeconds: 5 }))));
  assert.equal(silent.name, 'GatewayTimeoutError');
  assert.match(silent.responseBody, /504101/);
  assert.match(left.responseBody, /404103|504101/, 'the module went instead of answering');
  await late.send(200, 'too late');

  const { result } = await service(h).invokeDeviceMethod(...MODULE, { methodName: 'quick' });
  assert.deepEqual(result, { status: 200, payload: 'still here' });
  assert.equal((await h.seen(ID)).ended, 0);
});

test('a method of a device is not one of its modules', async (t) => {
  const h = await sdkHub(t);
  const { client: module } = await openModule(t, h, ID);
  const device = await sdkClient(t, h, await h.create('gateway-01'));
  await device.open();
  module.onMethod('who', (request, response) => response.send(200, 'the module'));
  device.onDeviceMethod('who', (request, response) => response.send(200, 'the device'));
  await subscribed(h, ID, 2);
  await subscribed(h, 'gateway-01', 1);

  const who = async (...where) =>
    (await service(h).invokeDeviceMethod(...where, { methodName: 'who' })).result.payload;
  assert.deepEqual([await who(...MODULE), await who('gateway-01')], ['the module', 'the device']);
});

test('a method after a renewed connection needs no new SUBSCRIBE', async (t) => {
  const h = await sdkHub(t);
  const { client } = await openModule(t, h, ID);
  await method(h, client, 'hello', (request, response) => response.send(200, 'here'));
  const back = next(client, 'connect');
  await h.fault(`${ID} drop`);
  await back;

  const { result } = await service(h).invokeDeviceMethod(...MODULE,
    { methodName: 'hello', connectTimeoutInSeconds: 20 });
  assert.equal(result.payload, 'here');
});

test('who may call: the policy decides', async (t) => {
  const h = await sdkHub(t);
  await h.create(...MODULE);
  for (const policy of ['device', 'registryRead', 'registryReadWrite']) {
    const error = await failure(service(h, policy).invokeDeviceMethod(...MODULE, { methodName: 'x' }));
    assert.equal(error.name, 'UnauthorizedError', policy);
  }
});
