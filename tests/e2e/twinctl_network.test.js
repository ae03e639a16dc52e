// twinctl on a bad network: busy hubs, lost answers, proxies, certificates, and answers that are none.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { certificate, connectProxy, datedCertificate, run, scripted } from './lib/index.js';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const SIGN_IN = `HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=${KEY}`;
const TWIN = { deviceId: 'gw', etag: 'AAE=', properties: { desired: { $version: 1 }, reported: { $version: 1 } } };
const JSON_TYPE = { 'Content-Type': 'application/json; charset=utf-8' };

/** Runs twinctl against the script; gives { code, stdout, stderr, ms }. */
async function ctl(t, script, args, { env = {}, caFile = script.caFile } = {}) {
  const from = performance.now();
  const result = await run(t, 'twinctl', [...args, '--port', String(script.port), '--ca-file', caFile],
    { env: { IOTHUB_CONNECTION_STRING: SIGN_IN, ...env } });
  assert.ok(!`${result.stdout}${result.stderr}`.includes(KEY.slice(0, 20)), 'no key is printed');
  return { ...result, ms: performance.now() - from };
}

/** The code, and one line on standard error that `pattern` matches. */
function refused(result, code, pattern) {
  assert.equal(result.code, code, result.stderr);
  assert.match(result.stderr, /^twinctl [^\n]+\n$/, 'one line');
  assert.match(result.stderr, pattern);
  assert.equal(result.stdout, '');
}

test('a busy hub is asked again, when it says so', async (t) => {
  const script = await scripted(t);
  const get = (...args) => ctl(t, script, ['twin', 'get', 'gw', '--json', ...args]);

  script.on('GET', /twins/, { status: 429, headers: { 'Retry-After': '1' } }, { body: TWIN });
  const seconds = await get();
  assert.equal(seconds.code, 0, seconds.stderr);
  assert.equal(seconds.stderr, '', 'nobody looks on: no progress is shown');
  assert.deepEqual(JSON.parse(seconds.stdout), TWIN);
  assert.ok(seconds.ms >= 1000, `${seconds.ms} ms`);
  assert.equal(script.requests.length, 2);
  assert.notEqual(script.requests[0].headers.authorization, undefined);

  const then = () => new Date(Date.now() + 2000).toUTCString();
  script.clear().on('GET', /twins/,
    (request, response) => response.writeHead(503, { 'Retry-After': then() }).end(), { body: TWIN });
  const date = await get();
  assert.equal(date.code, 0, date.stderr);
  assert.ok(date.ms >= 1000, `${date.ms} ms`);
  assert.equal(script.requests.length, 2);

  script.clear().on('GET', /twins/, { status: 503 }, { status: 502, body: '<html>' }, { body: TWIN });
  const backOff = await get();
  assert.equal(backOff.code, 0, backOff.stderr);
  assert.ok(backOff.ms >= 1500, `${backOff.ms} ms: waits 0.5 to 1 s, then 1 to 2 s`);
  assert.equal(script.requests.length, 3);
});

test('patience ends', async (t) => {
  const script = await scripted(t);
  const get = (...args) => ctl(t, script, ['twin', 'get', 'gw', ...args]);
  const busy = { status: 429, headers: JSON_TYPE, body: '{"Message":"ErrorCode:ThrottlingException;slow down"}' };

  script.on('GET', /./, busy);
  refused(await get('--retry-for', '0s'), 75, /429 ThrottlingException: slow down; try again later/);
  assert.equal(script.requests.length, 1);

  const bounded = await get('--retry-for', '1s');
  refused(bounded, 75, /429/);
  assert.ok(script.requests.length >= 3 && bounded.ms < 25000, `${script.requests.length} requests, ${bounded.ms} ms`);

  script.clear().on('GET', /./, { ...busy, headers: { ...JSON_TYPE, 'Retry-After': '120' } });
  const long = await get();
  refused(long, 75, /429/);
  assert.equal(script.requests.length, 1, 'what is asked to wait longer than anybody would does not wait at all');

  const verbose = await get('--verbose', '--retry-for', '1s');
  assert.match(verbose.stderr, /^twinctl: GET https:\/\/localhost:\d+\/twins\/gw\?api-version=2021-04-12: 429$/m);
});

test('what happens each time is asked for once', async (t) => {
  const script = await scripted(t);
  const method = ['method', 'gw/m', 'reboot'];

  for (const step of [{ status: 503 }, { status: 429, headers: { 'Retry-After': '0' } }, { status: 504 }]) {
    script.clear().on('POST', /methods/, step);
    refused(await ctl(t, script, method), 75, new RegExp(String(step.status)));
    assert.equal(script.requests.length, 1);
  }
  script.clear().on('POST', /methods/, { lost: true });
  refused(await ctl(t, script, method), 69, /whether it was done is not known/);
  assert.equal(script.requests.length, 1);

  script.clear().on('PUT', /devices/, { status: 503 });
  refused(await ctl(t, script, ['device', 'create', 'gw']), 75, /503/);
  assert.equal(script.of('PUT').length, 1);

  script.clear().on('PATCH', /twins/, { status: 500 });
  refused(await ctl(t, script, ['twin', 'update', 'gw', 'a=1', '--force']), 75, /500/);
  assert.equal(script.of('PATCH').length, 1, 'a patch is an order to the module each time');
  script.clear().on('PATCH', /twins/, { status: 429, headers: { 'Retry-After': '0' } }, { body: TWIN });
  const throttled = await ctl(t, script, ['twin', 'update', 'gw', 'a=1', '--force']);
  assert.equal(throttled.code, 0, throttled.stderr);
  assert.equal(script.of('PATCH').length, 2, 'a throttled one was not done');
});

test('a question is asked again, whatever verb of HTTP it takes', async (t) => {
  const script = await scripted(t).then((s) => s.on('POST', /devices\/query/, { status: 503 }, { lost: true }, { body: [{ n: 1 }] }));

  const query = await ctl(t, script, ['query', 'SELECT COUNT() AS n FROM devices', '--json']);
  assert.equal(query.code, 0, query.stderr);
  assert.deepEqual(JSON.parse(query.stdout), [{ n: 1 }]);
  assert.equal(script.requests.length, 3);

  script.clear().on('POST', /devices\/query/, { headers: { 'x-ms-continuation': 'x'.repeat(9000) }, body: [{ n: 1 }] });
  const long = await ctl(t, script, ['query', 'SELECT * FROM devices']);
  assert.equal(long.code, 69, 'a page that cannot be asked for is not taken for the end');
  assert.match(long.stderr, /x-ms-continuation is longer than any/);
});

test('a patch whose answer is lost is found done by its etag, or not done', async (t) => {
  const script = await scripted(t);
  const done = { ...TWIN, etag: 'AAI=', properties: { ...TWIN.properties, desired: { a: 1, $version: 2 } } };
  const other = { ...TWIN, etag: 'AAI=', properties: { ...TWIN.properties, desired: { b: 1, $version: 2 } } };
  const lost = { status: 412, headers: JSON_TYPE, body: '{"Message":"ErrorCode:PreconditionFailed;etag"}' };
  const update = () => ctl(t, script, ['twin', 'update', 'gw', 'a=1']);

  script.on('GET', /twins/, { body: TWIN }, { body: done }).on('PATCH', /twins/, { lost: true }, lost);
  const applied = await update();
  assert.equal(applied.code, 0, applied.stderr);
  assert.match(applied.stdout, /desired version 2/);
  assert.deepEqual(script.requests.map(({ method }) => method), ['GET', 'PATCH', 'PATCH', 'GET']);
  assert.ok(script.of('PATCH').every(({ headers }) => headers['if-match'] === '"AAE="'));

  script.clear().on('GET', /twins/, { body: TWIN }, { body: other }).on('PATCH', /twins/, { status: 502 }, lost);
  const race = await update();
  assert.equal(race.code, 75, race.stderr);
  assert.match(race.stderr, /412 .*; an earlier try, whose answer was lost, may have done it: look again; its etag is now AAI=\n/);

  script.clear().on('GET', /twins/, { body: TWIN }, { body: done }).on('PATCH', /twins/, lost);
  const plain = await update();
  assert.equal(plain.code, 75, 'without a lost answer a lost etag is somebody else');
  assert.match(plain.stderr, /412 .*; somebody else changed it/);
  assert.equal(script.of('PATCH').length, 1);
});

test('a deletion whose answer is lost is done', async (t) => {
  const module = { moduleId: 'm', deviceId: 'gw', etag: 'AAE=' };
  const gone = { status: 404, headers: JSON_TYPE, body: '{"Message":"ErrorCode:ModuleNotFound;gone"}' };
  const script = await scripted(t);
  const remove = () => ctl(t, script, ['module', 'delete', 'gw/m']);

  script.on('GET', /devices/, { body: module }).on('DELETE', /devices/, { status: 503 }, gone);
  const first = await remove();
  assert.equal(first.code, 0, first.stderr);
  assert.equal(script.of('DELETE').length, 2);

  script.clear().on('GET', /devices/, { body: module }).on('DELETE', /devices/, gone);
  const second = await remove();
  assert.equal(second.code, 66, 'nothing was lost: there was none');
});

test('what comes in the place of a twin is named', async (t) => {
  const cases = [
    [{ headers: { 'Content-Type': 'text/html' }, body: '<html><title>Guest\nnetwork</title></html>' },
      /200, .*: a web page \(Guest network\); this is no IoT Hub/],
    [{ body: '' }, /200, .*: empty; this is no IoT Hub/],
    [{ headers: JSON_TYPE, body: '{"etag":"AAE=","prop' }, /200, .*: JSON that is cut off;/],
    [{ headers: JSON_TYPE, body: '[]' }, /200, .*: JSON of another kind;/],
    [{ headers: { 'Content-Type': 'text/plain' }, body: 'it works\x1b[2J\n' }, /200, .*: text \(it works \[2J\);/],
    [{ body: Buffer.from([0, 1, 2, 0xff]) }, /200, .*: text/],
    [{ body: Buffer.alloc(65 * 1024 * 1024, 'x') }, /the answer is too large/],
    [{ status: 302, headers: { Location: 'https://portal.example/' } }, /302 .*this is no IoT Hub/],
    [{ status: 204 }, /204, .*: empty/],
  ];
  const script = await scripted(t);

  for (const [step, pattern] of cases) {
    script.clear().on('GET', /./, step);
    refused(await ctl(t, script, ['twin', 'get', 'gw', '--retry-for', '0s']), 69, pattern);
    assert.equal(script.requests.length, 1);
  }
});

test('answers that end early or never come', async (t) => {
  const body = JSON.stringify(TWIN);
  const script = await scripted(t);
  const get = (...args) => ctl(t, script, ['twin', 'get', 'gw', '--json', '--retry-for', '0s', ...args]);

  for (const step of [{ body, cut: 20 }, { body, cut: 20, chunked: true }, { body, cut: 0 }, { lost: true }]) {
    script.clear().on('GET', /./, step);
    refused(await get(), 69, /hub localhost:\d+: .*; try again later/);
  }
  script.clear().on('GET', /./, { body, cut: 20 }, { body, cut: 20, chunked: true }, { body });
  const third = await get('--retry-for', '30s');
  assert.equal(third.code, 0, third.stderr);
  assert.deepEqual(JSON.parse(third.stdout), TWIN, 'nothing of the answers before is left in it');

  script.clear().on('GET', /./, { status: 400, body: '{"Message":"ErrorCode:ArgumentInvalid;the f', cut: 43 });
  refused(await get(), 65, /400 .*the f/);

  script.clear().on('GET', /./, { hang: true });
  const hang = await get('--request-timeout', '300ms');
  refused(hang, 69, /no whole answer in time \(--request-timeout\)/);
  assert.ok(hang.ms < 30000, `${hang.ms} ms`);
  script.clear().on('GET', /./, { body, drip: 50 });
  refused(await get('--request-timeout', '300ms'), 69, /no whole answer in time/);
});

test('nobody is told a token who cannot prove who he is', async (t) => {
  const identities = {
    name: certificate(t, ['other.example']),
    ended: datedCertificate(t, '20200101000000Z', '20210101000000Z'),
    future: datedCertificate(t, '20980101000000Z', '20990101000000Z'),
  };
  const cases = [
    ['name', {}, /localhost.*; give its CA with --ca-file, and its right host name/],
    ['ended', {}, /certificate has expired; give its CA/],
    ['future', {}, /certificate is not yet valid; check the clock of this machine/],
    ['name', { caFile: certificate(t).caFile }, /certificate.*; give its CA with --ca-file/],
    ['name', { caFile: '/nowhere.pem', code: 78 }, /--ca-file .*must name a PEM file/],
  ];

  for (const [identity, { caFile, code = 69 }, pattern] of cases) {
    const script = await scripted(t, { identity: identities[identity] });
    const result = await ctl(t, script, ['twin', 'get', 'gw'], { caFile });
    refused(result, code, pattern);
    assert.equal(script.requests.length, 0);
    const told = await ctl(t, script, ['twin', 'get', 'gw', '--verbose'], { caFile });
    assert.doesNotMatch(told.stderr, /trying again/);
  }
  const old = await scripted(t, { options: { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } });
  refused(await ctl(t, old, ['twin', 'get', 'gw', '--retry-for', '0s']), 69, /hub localhost:\d+: /);
  assert.equal(old.requests.length, 0);
});

test('a proxy is signed in to, gone round, and told apart from the hub', async (t) => {
  const script = (await scripted(t)).on('GET', /./, { body: TWIN });
  const password = 'p@ss:word/1';
  const statuses = [];
  const proxy = await connectProxy(t, script.port, (request) => {
    const wanted = `Basic ${Buffer.from(`user:${password}`).toString('base64')}`;
    return statuses.shift() ?? (request.headers['proxy-authorization'] === wanted ? 200 : 407);
  });
  const user = `user:${encodeURIComponent(password)}@`;
  const get = (env, ...args) => ctl(t, script, ['twin', 'get', 'gw', '--json', ...args], { env });
  const check = (result, code, pattern) => {
    refused(result, code, pattern);
    assert.ok(!/p@ss|p%40ss/.test(result.stderr), 'no password is printed');
  };

  const passed = await get({ HTTPS_PROXY: `http://${user}${proxy.address}` });
  assert.equal(passed.code, 0, passed.stderr);
  assert.equal(proxy.asked[0].url, `localhost:${script.port}`);
  assert.equal(script.requests[0].headers['proxy-authorization'], undefined, 'the hub does not hear the password');

  check(await get({ HTTPS_PROXY: `http://${proxy.address}` }), 69, /: 407, the proxy of HTTPS_PROXY wants a user/);
  check(await get({ HTTPS_PROXY: `http://user:wrong@${proxy.address}` }), 69, /: 407, .*user:password@host:port/);
  statuses.push(403);
  check(await get({ HTTPS_PROXY: `http://${user}${proxy.address}` }), 69, /: 403, .*does not let through.*NO_PROXY/);
  statuses.push(502);
  const second = await get({ HTTPS_PROXY: `http://${user}${proxy.address}` });
  assert.equal(second.code, 0, `a proxy that cannot reach the hub is asked again: ${second.stderr}`);
  statuses.push(504);
  check(await get({ HTTPS_PROXY: `http://${user}${proxy.address}` }, '--retry-for', '0s'), 69, /504.*HTTPS_PROXY names/);
  check(await get({ HTTPS_PROXY: `http://${user}127.0.0.1:1` }, '--retry-for', '0s'), 69, /check host name.*HTTPS_PROXY/);

  const before = proxy.asked.length;
  const direct = await get({ HTTPS_PROXY: `http://${proxy.address}`, NO_PROXY: 'example.com,localhost' });
  assert.equal(direct.code, 0, direct.stderr);
  assert.equal(proxy.asked.length, before);
});

test('nobody there: tried again a little, and then said', async (t) => {
  const script = await scripted(t);
  const args = ['twin', 'get', 'gw', '--ca-file', script.caFile, '--port', '1', '--verbose'];

  const result = await run(t, 'twinctl', args, { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });

  assert.equal(result.code, 69);
  assert.equal(result.stderr.match(/trying again in/g).length, 2);
  assert.match(result.stderr, /\ntwinctl twin get: .*check host name, --port, network and HTTPS_PROXY\n$/);
});
