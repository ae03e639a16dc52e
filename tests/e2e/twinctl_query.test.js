// twinctl query: all pages, as they come, and no page twice.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hub, run, scripted } from './lib/index.js';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const SIGN_IN = `HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=${KEY}`;

function ctlOf(t, script) {
  return (...args) => run(t, 'twinctl', ['query', ...args, '--port', String(script.port), '--ca-file', script.caFile],
    { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });
}

const page = (rows, continuation) =>
  ({ body: rows, headers: continuation === undefined ? {} : { 'x-ms-continuation': continuation } });

test('a query goes to the last page', async (t) => {
  const h = await hub(t);
  const names = Array.from({ length: 7 }, (_, i) => `b${i}`);
  for (const name of names) await h.create('gw', name);
  await h.desire('gw', 'b3', { rate: 0.1 });
  const ctl = (...args) => run(t, 'twinctl', ['query', ...args, ...h.signIn('service')]);

  const json = await ctl('SELECT * FROM devices.modules', '--page-size', '3', '--json');
  assert.equal(json.code, 0, json.stderr);
  assert.deepEqual(JSON.parse(json.stdout).map(({ moduleId }) => moduleId).sort(), names);
  assert.equal(JSON.parse(json.stdout).find(({ moduleId }) => moduleId === 'b3').properties.desired.rate, 0.1);
  const lines = await ctl('SELECT * FROM devices.modules', '--page-size', '3', '--json-lines');
  assert.deepEqual(lines.stdout.trimEnd().split('\n').map((line) => JSON.parse(line).moduleId).sort(), names);
  const limited = await ctl('SELECT * FROM devices.modules', '--page-size', '3', '--limit', '4', '--json');
  assert.equal(JSON.parse(limited.stdout).length, 4);

  const table = await ctl('SELECT * FROM devices.modules', '--page-size', '3');
  assert.match(table.stdout, /^ {2}DEVICE +MODULE +STATE +DESIRED +REPORTED +LAST REPORT\n/);
  assert.equal(table.stdout.match(/^ {2}gw +b\d +Disconnected/gm).length, 7);
  assert.equal(table.stdout.match(/DEVICE/g).length, 1, 'one head for all pages');
  const none = await ctl("SELECT * FROM devices.modules WHERE deviceId = 'nobody'");
  assert.deepEqual([none.code, none.stdout], [0, 'no rows\n']);
  assert.equal((await ctl("SELECT * FROM devices.modules WHERE deviceId = 'nobody'", '--json')).stdout, '[]\n');
  const wrong = await ctl('SELECT FROM WHERE');
  assert.equal(wrong.code, 65);
  assert.match(wrong.stderr, /^twinctl query: 400 [^\n]+\n$/);
});

test('the continuation is handed back as it came, and an empty one is the end', async (t) => {
  const script = await scripted(t);
  const token = '-RID:~x==#RT:1#TRC:2#{"a":[1,"b"]}';
  const ctl = ctlOf(t, script);

  script.on('POST', /devices\/query\?api-version=2021-04-12$/, page([{ a: 1 }], token), page([], 'second'), page([{ a: 2 }], ''));
  const all = await ctl('SELECT a FROM devices', '--json', '--page-size', '5');
  assert.equal(all.code, 0, all.stderr);
  assert.deepEqual(JSON.parse(all.stdout), [{ a: 1 }, { a: 2 }]);
  assert.equal(script.requests.length, 3);
  assert.deepEqual(script.requests.map(({ headers }) => headers['x-ms-continuation']), [undefined, token, 'second']);
  assert.deepEqual(script.requests.map(({ headers }) => headers['x-ms-max-item-count']), ['5', '5', '5']);
  assert.deepEqual(JSON.parse(script.requests[0].body), { query: 'SELECT a FROM devices' });

  for (const rows of [[], [{ a: 1 }]]) {
    script.clear().on('POST', /./, page([{ a: 1 }], 'x'), page(rows, 'x'));
    const loop = await ctl('SELECT a FROM devices');
    assert.equal(loop.code, 69, loop.stderr);
    assert.match(loop.stderr, /the same page again and again/);
    assert.equal(script.requests.length, 2);
  }

  script.clear().on('POST', /./, page([{ a: 1 }, { a: 2 }], 'x'), page([{ a: 3 }, { a: 4 }], 'y'));
  const limited = await ctl('SELECT a FROM devices', '--limit', '3', '--page-size', '2', '--json-lines');
  assert.equal(limited.stdout, '{"a":1}\n{"a":2}\n{"a":3}\n');
  assert.deepEqual(script.requests.map(({ headers }) => headers['x-ms-max-item-count']), ['2', '1']);
});

test('columns are the scalars of the rows; numbers stay what they are', async (t) => {
  const script = await scripted(t);
  const ctl = ctlOf(t, script);

  script.on('POST', /./, page([
    { deviceId: 'gw', properties: { reported: { temperature: 20.1, $version: 3 } } },
    { deviceId: 'gw2', n: null, list: [1, 2], properties: { reported: {} }, odd: 'a\u001b[31m\nb' },
  ]));
  const table = await ctl('SELECT whatever FROM devices');
  assert.deepEqual(table.stdout.trimEnd().split('\n').map((line) => line.trim().split(/ {2,}/)), [
    ['deviceId', 'properties.reported.temperature', 'n', 'list', 'properties.reported', 'odd'],
    ['gw', '20.1', '-', '-', '{"temperature":20.1,"$version":3}', '-'],
    ['gw2', '-', '-', '[1,2]', '{}', 'a\\u001b[31m\\nb'],
  ]);

  script.clear().on('POST', /./, page([{ a: 1 }], 'x'), page([{ a: 2 }], 'y'), page([{ a: 3, b: 4 }]));
  const more = await ctl('SELECT * FROM devices');
  assert.equal(more.stdout, '  a\n  1\n  2\n\n  a  b\n  3  4\n');

  script.clear().on('POST', /./, page([{ n: 0.1, big: 4503599627370495, e: 1e300 }]));
  assert.equal((await ctl('SELECT n FROM devices', '--json-lines')).stdout, '{"n":0.1,"big":4503599627370495,"e":1e+300}\n');
});

test('rows that came before a failure stay, and the exit code says that they are not all', async (t) => {
  const script = await scripted(t);
  script.on('POST', /./, page([{ a: 1 }], 'x'), { status: 403, body: { Message: 'ErrorCode:IotHubQuotaExceeded;no more today' } });

  const cut = await ctlOf(t, script)('SELECT a FROM devices', '--json');

  assert.equal(cut.code, 77);
  assert.match(cut.stderr, /403 IotHubQuotaExceeded: no more today/);
  assert.equal(cut.stdout, '[{"a":1}', 'no whole array that would lack rows');
});

test('pages of twins as large as twins can be', async (t) => {
  const script = await scripted(t);
  const rows = Array.from({ length: 20 }, (_, i) => ({ deviceId: `d${i}`, tags: 'x'.repeat(1 << 20) }));
  script.on('POST', /./, page(rows));

  const all = await ctlOf(t, script)('SELECT * FROM devices', '--json');
  assert.equal(all.code, 0, all.stderr);
  assert.deepEqual(JSON.parse(all.stdout), rows);

  script.clear().on('POST', /./, { body: Buffer.alloc(65 << 20, ' ') });
  const most = await ctlOf(t, script)('SELECT * FROM devices');
  assert.equal(most.code, 69);
  assert.match(most.stderr, /the answer is too large; ask for fewer rows at a time with --page-size\n$/);
});
