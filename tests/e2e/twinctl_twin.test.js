// twinctl twin: how a twin is shown, replaced, and what happens when two people change it at a time.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { folder, hub, run, scripted } from './lib/index.js';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const SIGN_IN = `HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=${KEY}`;
const ago = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();

/** twinctl signed in to a script. */
function ctlOf(t, script) {
  return (args, options = {}) => run(t, 'twinctl', [...args, '--port', String(script.port), '--ca-file', script.caFile],
    { ...options, env: { IOTHUB_CONNECTION_STRING: SIGN_IN, ...options.env } });
}

/** The twin of a bridge's module with components, as the hub has it. */
function bridgeTwin() {
  return {
    deviceId: 'gw', moduleId: 'heating', etag: 'AAAAAAAAAAc=', connectionState: 'Connected', version: 9,
    tags: { site: 'north', place: { floor: 3 } },
    properties: {
      desired: {
        'boiler-7': { setpoint: 24, pump: true }, interval: 10, $version: 3,
        $metadata: {
          $lastUpdated: ago(600), $lastUpdatedVersion: 3,
          'boiler-7': {
            $lastUpdated: ago(600), $lastUpdatedVersion: 3,
            setpoint: { $lastUpdated: ago(600), $lastUpdatedVersion: 2 },
            pump: { $lastUpdated: ago(5), $lastUpdatedVersion: 3 },
          },
          interval: { $lastUpdated: ago(86400 * 8), $lastUpdatedVersion: 1 },
        },
      },
      reported: {
        'boiler-7': {
          __t: 'c', temperature: 61.4, setpoint: { value: 24, ac: 200, av: 2, ad: '' },
          pump: { value: false, ac: 504, av: 3, ad: 'not written' },
        },
        interval: 10, $version: 6,
        $metadata: { 'boiler-7': { temperature: { $lastUpdated: ago(30) }, setpoint: { $lastUpdated: ago(590) } } },
      },
    },
  };
}

test('a twin is shown side by side: ages, acknowledgements in words, components together, tags at the end', async (t) => {
  const script = await scripted(t);
  script.on('GET', /twins/, { body: bridgeTwin() });

  const shown = await ctlOf(t, script)(['twin', 'get', 'gw/heating']);

  assert.equal(shown.code, 0, shown.stderr);
  const lines = shown.stdout.replace(/\b(\d+) (s|min|h|d)\b/g, (all, n, unit) => `${n}${unit}`).trimEnd().split('\n')
    .map((line) => line.replace(/ {2,}/g, '  '));
  assert.deepEqual(lines.map((line) => line.replace(/ \d+s\b/, ' Ns')), [
    'gw/heating: Connected, desired version 3, reported version 6, etag AAAAAAAAAAc=',
    '  PROPERTY  DESIRED  AGE  REPORTED  AGE  STATUS',
    '  interval  10  8d  10',
    'boiler-7',
    '  setpoint  24  10min  24  9min  ok',
    '!  pump  true  Ns  false  504 failed: not written',
    '  temperature  -  61.4  Ns',
    '! 1 desired property is not reported as desired',
    'tags',
    '  site  "north"',
    '  place.floor  3',
  ]);
  assert.doesNotMatch(shown.stdout, /\x1b/, 'no colours in a pipe');

  const raw = await ctlOf(t, script)(['twin', 'get', 'gw/heating', '--json']);
  assert.deepEqual(JSON.parse(raw.stdout).tags, { site: 'north', place: { floor: 3 } });
  assert.equal(JSON.parse(raw.stdout).properties.reported['boiler-7'].__t, 'c');
});

test('on a terminal a twin is as wide as that, in colours unless NO_COLOR is set', async (t) => {
  const script = await scripted(t);
  const twin = bridgeTwin();
  twin.properties.reported['boiler-7'].name = 'Kesselhaus Süd, '.repeat(20);
  twin.properties.desired.note = '日本'.repeat(40);
  script.on('GET', /twins/, { body: twin });
  const onTerminal = async (env) => {
    const command = `stty cols 72; exec "$TWINCTL" twin get gw/heating --port ${script.port} --ca-file ${script.caFile}`;
    const { stdout, code } = await run(t, '/usr/bin/script', ['-qec', command, '/dev/null'], { env: {
      TERM: 'xterm', IOTHUB_CONNECTION_STRING: SIGN_IN, NO_COLOR: '',
      TWINCTL: path.join(process.env.TWINBRIDGE_BIN ?? path.resolve('build/dev/bin'), 'twinctl'), SHELL: '/bin/sh', ...env,
    } });
    assert.equal(code, 0, stdout);
    return stdout.replaceAll('\r', '');
  };

  const coloured = await onTerminal({});
  assert.match(coloured, /^\x1b\[33m! note .*…  .*\x1b\[0m$/m);
  assert.match(coloured, /^\x1b\[1mboiler-7\x1b\[0m$/m);
  const plain = await onTerminal({ NO_COLOR: '1' });
  assert.doesNotMatch(plain, /\x1b/);
  assert.doesNotMatch(await onTerminal({ TERM: 'dumb' }), /\x1b/);
  for (const line of plain.split('\n').slice(1)) {
    const columns = [...line].reduce((sum, c) => sum + (/[\u3000-\u9fff]/.test(c) ? 2 : 1), 0);
    assert.ok(columns <= 72, `${columns} columns: ${line}`);
  }
});

test('a replacement is what is there afterwards, and the other section stays', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  const ctl = (...args) => run(t, 'twinctl', ['twin', ...args, ...h.signIn()]);
  assert.equal((await ctl('update', 'gateway-01/heating', 'a=1', 'b.c=2', 'b.d=0.1')).code, 0);
  assert.equal((await ctl('update', 'gateway-01/heating', '--tags', 'site=north', 'level=0.3')).code, 0);
  const bare = async () => {
    const { tags, properties: { desired: { $metadata, $version, ...desired } } } = await h.twin('gateway-01', 'heating');
    return { tags, desired };
  };

  const dry = await ctl('replace', 'gateway-01/heating', 'a=1', 'b.c=5', '--dry-run');
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /^gateway-01\/heating: would change 2 properties$/m);
  assert.match(dry.stdout, /^ {2}desired\.b\.c +2 +-> +5$/m);
  assert.match(dry.stdout, /^ {2}desired\.b\.d +0\.1 +-> +removed$/m);
  assert.deepEqual(await bare(), { tags: { site: 'north', level: 0.3 }, desired: { a: 1, b: { c: 2, d: 0.1 } } });
  const json = await ctl('replace', 'gateway-01/heating', 'a=1', 'b.c=5', '--dry-run', '--json');
  assert.deepEqual(JSON.parse(json.stdout).changes,
    [{ path: 'desired.b.c', old: 2, new: 5 }, { path: 'desired.b.d', old: 0.1 }]);

  const done = await ctl('replace', 'gateway-01/heating', 'a=1', 'b.c=5');
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^gateway-01\/heating: twin replaced, desired version \d+, etag \S+\n$/);
  assert.deepEqual(await bare(), { tags: { site: 'north', level: 0.3 }, desired: { a: 1, b: { c: 5 } } });

  assert.equal((await ctl('replace', 'gateway-01/heating', '--tags', 'owner=me')).code, 0);
  assert.deepEqual(await bare(), { tags: { owner: 'me' }, desired: { a: 1, b: { c: 5 } } });

  const dir = folder(t);
  const empty = path.join(dir, 'empty.json');
  fs.writeFileSync(empty, '{}');
  assert.equal((await ctl('replace', 'gateway-01/heating', empty)).code, 0);
  assert.deepEqual(await bare(), { tags: { owner: 'me' }, desired: {} });
});

test('a dry run of an update changes nothing, and says when the module is only told again', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  await h.desire('gateway-01', 'heating', { a: 1, b: 2 });
  const ctl = (...args) => run(t, 'twinctl', ['twin', 'update', 'gateway-01/heating', ...args, '--dry-run', ...h.signIn()]);

  const changed = await ctl('a=2', 'b=null', 'c={"d":1}');
  assert.match(changed.stdout, /^ {2}desired\.a +1 +-> +2$/m);
  assert.match(changed.stdout, /^ {2}desired\.b +2 +-> +removed$/m);
  assert.match(changed.stdout, /^ {2}desired\.c\.d +- +-> +1$/m);
  const same = await ctl('a=1');
  assert.equal(same.stdout, 'gateway-01/heating: would change 0 properties, and the module would be told all the same\n');
  assert.equal((await h.twin('gateway-01', 'heating')).properties.desired.$version, 2);
});

test('who comes too late sees both sides, and nothing is sent again', async (t) => {
  const twin = (etag, desired, tags = {}) =>
    ({ etag, tags, properties: { desired: { ...desired, $version: 2 }, reported: {} } });
  const script = await scripted(t);
  const lost = { status: 412, headers: { 'iothub-errorcode': 'PreconditionFailed' },
    body: { Message: 'ErrorCode:PreconditionFailed;Precondition failed: Device version did not match' } };
  const ctl = ctlOf(t, script);
  const play = () => script.clear()
    .on('GET', /twins/, { body: twin('AAE=', { rate: 5, mode: 'eco', level: 1 }) },
      { body: twin('AAI=', { rate: 6, mode: 'eco', level: 2 }, { site: 'x' }) })
    .on('PATCH', /twins/, lost).on('PUT', /twins/, lost);

  play();
  const update = await ctl(['twin', 'update', 'gw/m', 'rate=7', 'mode=full']);
  assert.equal(update.code, 75);
  assert.match(update.stderr, /^twinctl twin update: gw\/m: 412 [^\n]*somebody else changed it[^\n]*its etag is now AAI=\n$/);
  assert.deepEqual(update.stdout.trimEnd().split('\n').map((line) => line.trimEnd().replace(/ {2,}/g, '  ')), [
    '  PROPERTY  WAS  IS NOW  YOU WANTED',
    '! desired.rate  5  6  7',
    '  desired.mode  "eco"  "eco"  "full"',
    '  tags.site  -  "x"  (not touched)',
    '  desired.level  1  2  (not touched)',
  ]);
  assert.deepEqual(script.requests.map(({ method }) => method), ['GET', 'PATCH', 'GET']);
  assert.equal(script.of('PATCH')[0].headers['if-match'], '"AAE="');

  play();
  const replace = await ctl(['twin', 'replace', 'gw/m', 'rate=7', '--json']);
  assert.equal(replace.code, 75);
  const sides = JSON.parse(replace.stdout);
  assert.equal(sides.etag, 'AAI=');
  assert.deepEqual(sides.properties.find((side) => side.path === 'desired.rate'),
    { path: 'desired.rate', was: 5, now: 6, wanted: 7, conflict: true });
  assert.deepEqual(sides.properties.find((side) => side.path === 'desired.mode'),
    { path: 'desired.mode', was: 'eco', now: 'eco', conflict: false });
  assert.equal(script.of('PUT').length, 1);
  assert.deepEqual(JSON.parse(script.of('PUT')[0].body), { tags: {}, properties: { desired: { rate: 7 } } });

  play();
  const given = await ctl(['twin', 'update', 'gw/m', 'rate=7', '--etag', 'old']);
  assert.equal(given.code, 75);
  assert.match(given.stdout, /^ {2}PROPERTY +IS NOW +YOU WANTED\n! desired\.rate +5 +7\n$/, 'what it was nobody knows');
});

test('mistakes in a patch are found before anybody is asked', async (t) => {
  const script = await scripted(t);
  const dir = folder(t);
  const bad = path.join(dir, 'bad.json');
  fs.writeFileSync(bad, '{\n  "a": 1,\n  b: 2\n}');
  const ctl = ctlOf(t, script);
  const cases = [
    [['twin', 'update', 'gw/m', 'setpoint', '=', '21'], 66, /patch setpoint: cannot read: .*a single property is NAME=VALUE/],
    [['twin', 'update', 'gw/m', bad], 64, /bad\.json:3:3: a key needs double quotes, write "b"/],
    [['twin', 'update', 'gw/m', 'a=1', 'a=2'], 64, /'a' is named twice/],
    [['twin', 'replace', 'gw/m', 'a.b=null'], 64, /'b' is null: a replacement leaves out/],
    [['twin', 'replace', 'gw/m', '--whole', '-'], 64, /neither tags nor properties\.desired/],
    [['twin', 'update', 'gw/m', '{"a":1,}'], 64, /patch: argument:1:7: a comma before "}" is no JSON/],
    [['twin', 'update', 'gw/m', '{"a":1}', 'a=2'], 64, /'a' is named twice/],
    [['twin', 'update', 'gw/m', 'serial=12345678901234567'], 64, /the value of 'serial', character 1: a twin's integers go from/],
    [['twin', 'update', 'gw/m', 'a="x\\u0000y"'], 64, /the value of 'a', character 3: \\u0000 cannot stand in a text/],
    [['twin', 'update', 'gw/m', 'a={"zip":007}'], 64, /the value of 'a', character 8: a number does not start with 0/],
  ];

  for (const [args, code, message] of cases) {
    const result = await ctl(args, { input: '{}' });
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, message);
    assert.match(result.stderr, /^[^\n]+\n$/);
  }
  assert.equal(script.requests.length, 0);
});

test('a dry run says what would be refused', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  await h.desire('gateway-01', 'heating', { a: 1 });
  const ctl = (...args) => run(t, 'twinctl', ['twin', ...args, '--dry-run', ...h.signIn()]);

  const stale = await ctl('update', 'gateway-01/heating', 'a=2', '--etag', 'AAAA');
  assert.equal(stale.code, 75);
  assert.match(stale.stderr, /^twinctl twin update: gateway-01\/heating: would be refused: its etag is \S+, not AAAA; [^\n]*\n$/);
  assert.match(stale.stdout, /^! desired\.a +1 +2$/m);
  assert.equal((await ctl('update', 'gateway-01/heating', 'a=2', '--force')).code, 0);
  const { etag } = await h.twin('gateway-01', 'heating');
  assert.equal((await ctl('update', 'gateway-01/heating', 'a=2', '--etag', `"${etag}"`)).code, 0);
});

test('who comes too late with what is there already sees no empty table', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  await h.desire('gateway-01', 'heating', { a: 1 });
  const ctl = (...args) => run(t, 'twinctl', ['twin', 'update', 'gateway-01/heating', 'a=1', '--etag', 'AAAA', ...args, ...h.signIn()]);

  const text = await ctl();
  assert.deepEqual([text.code, text.stdout], [75, '']);
  assert.match(text.stderr, /412 /);
  assert.deepEqual(JSON.parse((await ctl('--json')).stdout).properties, []);
});

test('a text that looks like a number stays a text', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  const update = await run(t, 'twinctl', ['twin', 'update', 'gateway-01/heating', '--tags', 'zip=00742', 'n=742', ...h.signIn()]);
  assert.equal(update.code, 0, update.stderr);
  assert.deepEqual((await h.twin('gateway-01', 'heating')).tags, { zip: '00742', n: 742 });
});

test('an object on the command line is a patch, whatever it holds', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  const update = await run(t, 'twinctl', ['twin', 'update', 'gateway-01/heating', '{"url": "http://x/?a=b", "n": {"d": 1}}', 'n.e=2',
    ...h.signIn()]);
  assert.equal(update.code, 0, update.stderr);
  const { $metadata, $version, ...desired } = (await h.twin('gateway-01', 'heating')).properties.desired;
  assert.deepEqual(desired, { url: 'http://x/?a=b', n: { d: 1, e: 2 } });
});
