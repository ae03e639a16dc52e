// twinctl method: the module's answer decides the exit code, and nothing is ever called twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hub, run, scripted } from './lib/index.js';
import { openModule, sdkHub, subscribed } from './lib/sdk.js';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const SIGN_IN = `HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=${KEY}`;

test("a method reaches a module of Microsoft's SDK, and its answer comes back", async (t) => {
  const h = await sdkHub(t, { name: 'localhost' });
  const { client } = await openModule(t, h, 'gateway-01/heating');
  const asked = [];
  client.onMethod('read', (request, response) => {
    asked.push(request.payload);
    response.send(200, { temperature: 20.1, echo: request.payload });
  });
  await subscribed(h, 'gateway-01/heating', 2);
  client.onMethod('refuse', (request, response) => response.send(403, 'not now'));
  const ctl = (...args) => run(t, 'twinctl', ['method', 'gateway-01/heating', ...args, ...h.signIn('service')],
    { input: '[1, 0.1]' });

  const read = await ctl('read', '{"tags": ["temperature"]}');
  assert.deepEqual([read.code, read.stderr], [0, '']);
  assert.equal(read.stdout,
    'gateway-01/heating: read answered 200: {"temperature":20.1,"echo":{"tags":["temperature"]}}\n');
  const text = await ctl('read', 'some words', '--json');
  assert.deepEqual(JSON.parse(text.stdout), { status: 200, payload: { temperature: 20.1, echo: 'some words' } });
  assert.equal((await ctl('read', '-')).code, 0);
  assert.deepEqual(asked, [{ tags: ['temperature'] }, 'some words', [1, 0.1]]);

  const refused = await ctl('refuse');
  assert.equal(refused.code, 65);
  assert.equal(refused.stdout, 'gateway-01/heating: refuse answered 403: "not now"\n');
  assert.match(refused.stderr, /^twinctl method: gateway-01\/heating: the module answered 'refuse' with 403\n$/);
});

test('nobody there is told apart from nobody of that name', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  const ctl = (...args) => run(t, 'twinctl', ['method', ...args, ...h.signIn('service')]);

  const away = await ctl('gateway-01/heating', 'read');
  assert.equal(away.code, 69, away.stderr);
  assert.match(away.stderr, /^twinctl method: gateway-01\/heating: 404 DeviceNotOnline: it is not connected, .*--connect-timeout waits for it\n$/);
  const wrong = await ctl('gateway-01/nobody', 'read');
  assert.equal(wrong.code, 66, wrong.stderr);
});

test('what the hub answers decides, and a call is never repeated', async (t) => {
  const script = await scripted(t);
  const online = JSON.stringify({ errorCode: 404103, trackingId: 'x', message: 'Device not online' });
  const cases = [
    [{ body: { status: 200, payload: null } }, 0, /^gw\/m: go answered 200\n$/, /^$/],
    [{ body: { status: 299, payload: 0 } }, 0, /^gw\/m: go answered 299: 0\n$/, /^$/],
    [{ body: { status: 500, payload: { a: '\u001b' } } }, 65, /^gw\/m: go answered 500: {"a":"\\u001b"}\n$/, /answered 'go' with 500/],
    [{ status: 404, body: { Message: online, ExceptionMessage: '' } }, 69, /^$/, /it is not connected/],
    [{ status: 404, headers: { 'iothub-errorcode': 'DeviceNotOnline' } }, 69, /^$/, /it is not connected/],
    [{ status: 404, body: { Message: 'ErrorCode:ModuleNotFound;gone' } }, 66, /^$/, /404 ModuleNotFound: gone/],
    [{ status: 504, body: { Message: 'ErrorCode:GatewayTimeout;x' } }, 75, /^$/, /504 it did not answer within 5 s; .*may have been done/],
    [{ status: 503 }, 75, /^$/, /503/],
    [{ status: 401 }, 77, /^$/, /401/],
    [{ lost: true }, 69, /^$/, /whether it was done is not known|look before repeating/],
    [{ body: 'hello' }, 69, /^$/, /the answer has no status/],
  ];

  for (const [step, code, stdout, stderr] of cases) {
    script.clear().on('POST', /^\/twins\/gw\/modules\/m\/methods\?/, step);
    const result = await run(t, 'twinctl', ['method', 'gw/m', 'go', '{"n": 0.10}', '--timeout', '5s', '--connect-timeout', '7s',
      '--port', String(script.port), '--ca-file', script.caFile], { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });
    assert.equal(result.code, code, `${JSON.stringify(step)}: ${result.stderr}`);
    assert.match(result.stdout, stdout);
    assert.match(result.stderr, stderr);
    assert.equal(script.requests.length, 1);
    assert.deepEqual(JSON.parse(script.requests[0].body),
      { methodName: 'go', payload: { n: 0.1 }, responseTimeoutInSeconds: 5, connectTimeoutInSeconds: 7 });
  }
});

test('payloads and answers are what they are, to the last digit', async (t) => {
  const script = await scripted(t);
  script.on('POST', /./, { body: '{"status":200,"payload":{"serial":12345678901234567890,"x":1.10}}',
    headers: { 'Content-Type': 'application/json' } });
  const ctl = (args, input) => run(t, 'twinctl', ['method', 'gw/m', 'go', ...args, '--port', String(script.port),
    '--ca-file', script.caFile], { env: { IOTHUB_CONNECTION_STRING: SIGN_IN }, input });
  const sent = async (...args) => {
    script.requests.length = 0;
    const result = await ctl(...args);
    assert.equal(result.code, 0, result.stderr);
    return script.requests[0].body.match(/"payload":(.*?),"methodName"/)[1];
  };

  assert.equal((await ctl(['--json'])).stdout, '{"status":200,"payload":{"serial":12345678901234567890,"x":1.10}}\n');
  assert.equal(await sent([]), 'null');
  assert.equal(await sent(['{"serial":12345678901234567890}']), '{"serial":12345678901234567890}');
  assert.equal(await sent(['007']), '"007"', 'no JSON: a hub would refuse it');
  assert.equal(await sent(['']), '""');
  assert.equal(await sent(['-'], '\ufeff[1]'), '[1]');
  assert.equal(await sent(['-'], 'some\nwords'), '"some\\nwords"');

  script.requests.length = 0;
  const mistake = await ctl(['{"a":1,\n"a":2}']);
  assert.equal(mistake.code, 64);
  assert.match(mistake.stderr, /^twinctl method: gw\/m: the payload, line 2, character 1: "a" stands here again[^\n]*\n$/);
  const binary = await ctl(['-'], Buffer.from('a\0b'));
  assert.equal(binary.code, 65);
  assert.match(binary.stderr, /holds a NUL byte/);
  assert.equal(script.requests.length, 0);
});
