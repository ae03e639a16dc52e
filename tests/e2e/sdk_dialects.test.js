// How Microsoft's other SDKs speak on the wire, where it differs from that for Node.js. They cannot be had
// here (they come neither from Debian nor from npm), so mqtt.js says what they say. And the upgrade that
// comes before all of it.

import assert from 'node:assert/strict';
import https from 'node:https';
import { test } from 'node:test';

import { cleanup, hub, parts, token, until } from './lib/index.js';
import { WebSocket, createWebSocketStream, mqtt, next } from './lib/sdk.js';

const ID = 'gateway-01/boiler-9';
const MODULE = ID.split('/');
const RES = '$iothub/twin/res/#';
const DESIRED = '$iothub/twin/PATCH/properties/desired/#';

/** An MQTT client of mqtt.js for the module; `received` holds what came, as { topic, payload, qos }. */
async function mqttClient(t, h, { query, subprotocol = 'mqtt', path = '/$iothub/websocket' }) {
  const { SharedAccessKey } = parts(await h.create(...MODULE));
  const socket = new WebSocket(`wss://localhost:${h.port}${path}`, [subprotocol], { ca: h.ca });
  const client = new mqtt.MqttClient(() => createWebSocketStream(socket), {
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: false,
    clientId: ID,
    username: `${h.host}/${ID}/?${query}`,
    password: token(`${h.host}/devices/gateway-01/modules/boiler-9`, SharedAccessKey),
    reconnectPeriod: 0,
  });
  client.received = [];
  client.on('message', (topic, payload, { qos }) => client.received.push({ topic, payload: payload.toString(), qos }));
  client.on('error', () => {});
  cleanup(t, () => new Promise((resolve) => client.end(true, {}, resolve)));
  await next(client, 'connect');
  return { client, socket };
}

function published(client, topic, payload, qos) {
  return new Promise((resolve, reject) => {
    client.publish(topic, payload, { qos }, (error) => (error ? reject(error) : resolve()));
  });
}

/** Subscribes with one packet; gives the granted { topic, qos }. */
function subscribed(client, filters) {
  return new Promise((resolve, reject) => {
    client.subscribe(filters, (error, granted) => (error ? reject(error) : resolve(granted)));
  });
}

function answer(client, rid) {
  return until(() => client.received.find(({ topic }) => topic.includes(`$rid=${rid}`)), { what: `answer ${rid}` });
}

test('as the SDK for C: MQTT in capitals, all filters in one SUBSCRIBE, empty requests', async (t) => {
  const h = await hub(t, { faults: true });
  const { client, socket } = await mqttClient(t, h, { subprotocol: 'MQTT',
    query: 'api-version=2020-09-30&DeviceClientType=iothubclient%2F1.14.0%20%28native%3B%20Linux%3B%20x86_64%29' });
  assert.equal(socket.protocol, 'MQTT');

  const granted = await subscribed(client, { [RES]: { qos: 0 }, [DESIRED]: { qos: 0 },
    '$iothub/methods/POST/#': { qos: 0 }, 'devices/gateway-01/modules/boiler-9/#': { qos: 1 } });
  assert.deepEqual(granted.map(({ qos }) => qos), [0, 0, 0, 1]);
  assert.equal((await h.seen(ID)).subscribed, 1, 'one packet');

  await published(client, '$iothub/twin/GET/?$rid=2', '', 0);
  const got = await answer(client, 2);
  assert.equal(got.topic, '$iothub/twin/res/200/?$rid=2');
  assert.deepEqual(JSON.parse(got.payload), { desired: { $version: 1 }, reported: { $version: 1 } });
  await published(client, '$iothub/twin/PATCH/properties/reported/?$rid=3', '{"a":1}', 0);
  assert.deepEqual(await answer(client, 3), { topic: '$iothub/twin/res/204/?$rid=3&$version=2', payload: '', qos: 0 });
  await h.desire(...MODULE, { b: 2 });
  const patch = await until(() => client.received[2], { what: 'the patch' });
  assert.equal(patch.topic, '$iothub/twin/PATCH/properties/desired/?$version=2');
  assert.deepEqual(JSON.parse(patch.payload), { b: 2, $version: 2 });
});

test('as the SDK for Python: twin requests with QoS 1, answered with QoS 0', async (t) => {
  const h = await hub(t, { faults: true });
  const { client } = await mqttClient(t, h,
    { query: 'api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0' });
  for (const filter of [RES, DESIRED, '$iothub/methods/POST/#'])
    assert.deepEqual((await subscribed(client, { [filter]: { qos: 1 } })).map(({ qos }) => qos), [1]);

  const rid = '1d2c3b4a-0000-4000-8000-00000000abcd';
  await published(client, `$iothub/twin/GET/?$rid=${rid}`, ' ', 1); // resolves with PUBACK
  assert.equal((await answer(client, rid)).qos, 0);
  await published(client, '$iothub/twin/PATCH/properties/reported/?$rid=r2', '{"a":1}', 1);
  assert.match((await answer(client, 'r2')).topic, /^\$iothub\/twin\/res\/204\//);
  await published(client, 'devices/gateway-01/modules/boiler-9/messages/events/%24.mid=m&k=v', 'text', 1);

  const method = h.rest('POST', '/twins/gateway-01/modules/boiler-9/methods',
    { body: { methodName: 'ping', payload: '' } });
  const call = await until(() => client.received.find(({ topic }) => topic.startsWith('$iothub/methods/POST/ping/')));
  assert.equal(call.payload, '""');
  await published(client, `$iothub/methods/res/200/${call.topic.split('/').pop()}`, '', 1);
  assert.deepEqual((await method).body, { status: 200, payload: null });
  const { body: [message] } = await h.rest('GET', '/hubsim/messages');
  assert.deepEqual([message.body, message.properties, message.systemProperties['message-id']],
    ['text', { k: 'v' }, 'm']);
});

test('a refused patch, a wrong version and an unknown filter are answered as the hub does', async (t) => {
  const h = await hub(t);
  const { client, socket } = await mqttClient(t, h, { query: 'api-version=2021-04-12' });
  await subscribed(client, { [RES]: { qos: 0 } });
  const reported = '$iothub/twin/PATCH/properties/reported/?$rid=';

  await published(client, `${reported}1`, '{"a"', 0);
  const refused = await answer(client, 1);
  assert.match(refused.topic, /^\$iothub\/twin\/res\/400\/\?\$rid=1$/);
  const error = JSON.parse(refused.payload);
  assert.equal(Math.floor(error.errorCode / 1000), 400);
  assert.ok(error.message && error.trackingId && error.timestampUtc, refused.payload);
  await published(client, `${reported}2&$version=7`, '{"a":1}', 0);
  assert.match((await answer(client, 2)).topic, /\/412\//);
  await published(client, `${reported}3&$version=1`, '{"a":1}', 0);
  assert.match((await answer(client, 3)).topic, /\/204\/\?\$rid=3&\$version=2$/);

  const closed = next(socket, 'close');
  client.subscribe('$iothub/twin/#', () => {});
  assert.equal(await closed, 1006, 'without a word');
});

test('the upgrade: every spelling that a client of the hub has, and no other', async (t) => {
  const h = await hub(t);
  for (const path of ['/%24iothub/websocket', '/$iothub/websocket?iothub-no-client-cert=true']) {
    const { client, socket } = await mqttClient(t, h, { path, query: 'api-version=2020-09-30' });
    assert.deepEqual([socket.protocol, socket.extensions], ['mqtt', ''], path);
    await new Promise((resolve) => client.end(false, {}, resolve));
  }

  const upgrade = (path, headers) => new Promise((resolve, reject) => {
    const request = https.request({ host: '127.0.0.1', port: h.port, servername: 'localhost', ca: h.ca, agent: false,
      path, headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==', ...headers } });
    request.on('response', (response) => resolve(response.resume().statusCode));
    request.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve(response.headers['sec-websocket-protocol']);
    });
    request.on('error', reject);
    request.end();
  });
  assert.equal(await upgrade('/$iothub/websocket', { 'Sec-WebSocket-Protocol': 'mqtt' }), 'mqtt');
  for (const [offered, spoken] of [['mqttv3.1, mqtt', 'mqtt'], ['MQTT, mqtt', 'MQTT'], ['http, mqtt', 'mqtt']])
    assert.equal(await upgrade('/$iothub/websocket', { 'Sec-WebSocket-Protocol': offered }), spoken, offered);
  assert.equal(await upgrade('/$iothub/websocket', { 'Sec-WebSocket-Protocol': 'http' }), 400);
  assert.equal(await upgrade('/$iothub/websocket', { 'Sec-WebSocket-Protocol': 'AMQPWSB10' }), 400);
  assert.equal(await upgrade('/$iothub/websocket', {}), 400);
  assert.equal(await upgrade('/iothub/websocket', { 'Sec-WebSocket-Protocol': 'mqtt' }), 404);
});

test('a text frame is a reason to close', async (t) => {
  const h = await hub(t);
  const { socket } = await mqttClient(t, h, { query: 'api-version=2021-04-12' });
  const closed = next(socket, 'close');
  socket.send('text');

  assert.ok([1002, 1003].includes(await closed));
});
