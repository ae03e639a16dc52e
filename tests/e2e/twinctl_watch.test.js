// twinctl watch: what changes, once, through bad weather, until it is told to end.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { Program, binaries, hub, run, scripted, until } from './lib/index.js';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const SIGN_IN = `HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=${KEY}`;
const STAMP = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z';

/** Starts a watch on the hub; resolves when it has read the twin for the first time. */
async function watch(t, h, ...args) {
  const program = new Program(t, 'twinctl',
    ['watch', 'gateway-01/heating', '--interval', '100ms', ...args, ...h.signIn('service')]);
  await program.line(/^gateway-01\/heating: watching every 100ms from desired version \d+, reported version \d+$/m);
  return program;
}

const twin = (desired, reported = {}, more = {}) =>
  ({ etag: 'AAE=', connectionState: 'Connected', ...more,
    properties: { desired: { ...desired, $version: 1 }, reported: { ...reported, $version: 1 } } });

function watchScript(t, script, ...args) {
  return new Program(t, 'twinctl', ['watch', 'gw/m', '--interval', '100ms', ...args,
    '--port', String(script.port), '--ca-file', script.caFile], { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });
}

test('a watch prints a line for each property that changed', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  await h.desire('gateway-01', 'heating', { rate: 5, mode: 'eco' });
  const program = await watch(t, h);

  await h.desire('gateway-01', 'heating', { rate: 6, mode: null, night: { from: 22 } });
  await program.line(/desired\.night/);
  await h.desire('gateway-01', 'heating', { rate: 7 });
  await program.line(/6 -> 7/);
  program.signal('SIGINT');
  const exit = await program.ended();

  assert.deepEqual(exit, { code: 0, signal: null });
  const lines = program.stdout.trimEnd().split('\n');
  for (const line of lines) assert.match(line, new RegExp(`^${STAMP} \\S+ .* -> .*$`));
  assert.deepEqual(lines.map((line) => line.slice(25)).sort(), [
    'desired.mode "eco" -> -', 'desired.night.from - -> 22', 'desired.rate 5 -> 6', 'desired.rate 6 -> 7',
  ]);
});

test('JSON lines, acknowledgements, tags and the connection are watched too', async (t) => {
  const script = await scripted(t);
  script.on('GET', /twins/,
    { body: twin({ a: 1 }, { a: { value: 1, ac: 202, av: 1 } }, { tags: { site: 'x' } }) },
    { body: twin({ a: 1 }, { a: { value: 1.5, ac: 200, av: 2, ad: 'done' } }, { tags: {}, connectionState: 'Disconnected' }) });

  const text = watchScript(t, script, '--count', '3');
  assert.deepEqual(await text.ended(), { code: 0, signal: null });
  assert.deepEqual(text.stdout.trimEnd().split('\n').map((line) => line.slice(25)), [
    'connectionState "Connected" -> "Disconnected"', 'tags.site "x" -> -', 'reported.a 1 (202 pending) -> 1.5 (ok: done)',
  ]);

  script.clear().on('GET', /twins/, { body: twin({ a: 1, b: 2 }) }, { body: twin({ a: 0.1, c: [1] }) });
  const json = watchScript(t, script, '--count', '2', '--json');
  assert.deepEqual(await json.ended(), { code: 0, signal: null });
  const changes = json.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(changes.map(({ time, ...change }) => change),
    [{ path: 'desired.a', old: 1, new: 0.1 }, { path: 'desired.b', old: 2 }], '--count ends it in the middle');
  assert.match(changes[0].time, new RegExp(`^${STAMP}$`));
});

test('a watch ends when what it waits for is there, or when the time is over', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  await h.desire('gateway-01', 'heating', { rate: 5, night: { from: 22 } });
  const waiting = await watch(t, h, '--until', 'desired.rate=6');
  await h.desire('gateway-01', 'heating', { rate: 6 });
  assert.deepEqual(await waiting.ended(), { code: 0, signal: null });
  const ctl = (...args) => run(t, 'twinctl',
    ['watch', 'gateway-01/heating', '--interval', '100ms', '--timeout', '300ms', ...args, ...h.signIn('service')]);

  for (const there of ['desired.rate=6', 'desired.night.from=22', 'desired.none=null', 'connectionState=Disconnected',
    'desired.$version=3', 'desired.night={"from":22}'])
    assert.equal((await ctl('--until', there)).code, 0, there);
  const late = await ctl('--until', 'desired.rate="6"');
  assert.equal(late.code, 75);
  assert.match(late.stderr, /twinctl watch: gateway-01\/heating: --timeout 300ms is over, desired\.rate is 6\n$/);
  const quiet = await ctl();
  assert.equal(quiet.code, 75);
  assert.match(quiet.stderr, /--timeout 300ms is over\n$/);

  const stopped = await watch(t, h, '--until', 'desired.rate=7');
  stopped.signal('SIGINT');
  assert.deepEqual(await stopped.ended(), { code: 75, signal: null }, 'it did not come');
});

test('a watch outlives a hub that is busy or away, and says so once', async (t) => {
  const script = await scripted(t);
  script.on('GET', /twins/, { body: twin({ a: 1 }) }, { status: 429, body: { Message: 'ErrorCode:ThrottlingException;slow down' } },
    { status: 503 }, { lost: true }, { body: twin({ a: 2 }) });

  const program = watchScript(t, script, '--until', 'desired.a=2');

  assert.deepEqual(await program.ended(), { code: 0, signal: null });
  assert.match(program.stdout, / desired\.a 1 -> 2\n$/);
  const notes = program.stderr.trimEnd().split('\n').slice(1);
  assert.equal(notes.length, 2, program.stderr);
  assert.match(notes[0], /^twinctl watch: gw\/m: 429 ThrottlingException: slow down; trying again until it works$/);
  assert.match(notes[1], /^twinctl watch: gw\/m: the hub answers again, after \d+ s$/);
  assert.equal(script.requests.length, 5);
});

test('a watch ends when the twin is gone, or the sign-in is no longer allowed', async (t) => {
  const script = await scripted(t);
  for (const [status, code] of [[404, 66], [401, 77]]) {
    script.clear().on('GET', /twins/, { body: twin({}) }, { status, body: { Message: 'ErrorCode:X;no' } });
    const program = watchScript(t, script);
    assert.deepEqual(await program.ended(), { code, signal: null });
    assert.match(program.stderr, new RegExp(`${status} X: no`));
  }
});

test('a watch that cannot begin says so at once', async (t) => {
  const script = await scripted(t);
  script.on('GET', /twins/, { status: 503 });
  const busy = watchScript(t, script);
  assert.deepEqual(await busy.ended(), { code: 75, signal: null });
  assert.equal(script.requests.length, 1);
  const nobody = new Program(t, 'twinctl', ['watch', 'gw/m', '--port', '1', '--ca-file', script.caFile],
    { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });
  assert.deepEqual(await nobody.ended(), { code: 69, signal: null });
});

test('lines reach a reader at once', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  const program = await watch(t, h);
  for (let rate = 0; rate < 3; rate++) {
    await h.desire('gateway-01', 'heating', { rate });
    await until(() => program.stdout.split('\n').length === rate + 2, { what: `line ${rate}; ${program.said}` });
  }
  await program.stop();
});

test('what can never be there is not waited for', async (t) => {
  const script = await scripted(t);
  script.on('GET', /twins/, { body: twin({ a: 1 }) });
  for (const until of ['repotred.a=1', 'reported.=1', 'desired..a=1', 'a.b=1', 'properties.desired.a=1', 'version=3', 'tags="x']) {
    const program = watchScript(t, script, '--until', until, '--timeout', '5s');
    assert.deepEqual(await program.ended(), { code: 64, signal: null }, until);
    assert.match(program.stderr, /^twinctl watch: gw\/m: --until [^\n]*\n$/);
  }
  const mistake = watchScript(t, script, '--until', 'desired.a={"b":007}');
  assert.deepEqual(await mistake.ended(), { code: 64, signal: null });
  assert.match(mistake.stderr, /--until: the value, character 6: a number does not start with 0/);
  assert.equal(script.requests.length, 0);

  script.clear().on('GET', /twins/, { body: twin({ zip: '007' }) });
  const text = watchScript(t, script, '--until', 'desired.zip=007', '--timeout', '5s');
  assert.deepEqual(await text.ended(), { code: 0, signal: null }, 'a text, as twin update makes it');
});

test('a watch that nobody reads ends', async (t) => {
  const script = await scripted(t);
  let rate = 0;
  script.on('GET', /twins/, (request, response) => response.end(JSON.stringify(twin({ rate: rate++ }))));
  const program = new Program(t, '/bin/sh', ['-c', 'exec "$0" "$@" >/dev/full', path.join(binaries, 'twinctl'), 'watch', 'gw/m',
    '--interval', '100ms', '--port', String(script.port), '--ca-file', script.caFile], { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });
  assert.deepEqual(await program.ended(), { code: 70, signal: null });
  assert.match(program.stderr, /gw\/m: cannot write to standard output\n$/);
});

test('a watch outlives what answers in the place of the hub', async (t) => {
  const script = await scripted(t);
  script.on('GET', /twins/, { body: twin({ a: 1 }) }, { body: '<html><title>Sign in</title></html>' },
    { status: 302, headers: { Location: 'https://portal.example/' } }, { body: {} }, { body: twin({ a: 2 }) });

  const program = watchScript(t, script, '--until', 'desired.a=2');

  assert.deepEqual(await program.ended(), { code: 0, signal: null }, program.stderr);
  const notes = program.stderr.trimEnd().split('\n').slice(1);
  assert.equal(notes.length, 2, program.stderr);
  assert.match(notes[0], /gw\/m: 200, but the answer is no twin: a web page \(Sign in\); trying again until it works$/);
});

test('a hub that never answers does not hold a watch beyond its time', async (t) => {
  const script = await scripted(t);
  script.on('GET', /twins/, { body: twin({ a: 1 }) }, { hang: true });
  const started = process.hrtime.bigint();
  const program = watchScript(t, script, '--until', 'desired.a=2', '--timeout', '2s');
  assert.deepEqual(await program.ended(), { code: 75, signal: null });
  const seconds = Number(process.hrtime.bigint() - started) / 1e9;
  assert.ok(seconds < 20, `${seconds} s, not the 60 s of --request-timeout`);
  assert.match(program.stderr, /--timeout 2s is over, desired\.a is 1\n$/);
});
