// twinctl against a hub, and against what is no hub.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { cleanup, fakeHttps, folder, hub, parts, run } from './lib/index.js';

const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';
const SIGN_IN = `HostName=localhost;SharedAccessKeyName=service;SharedAccessKey=${KEY}`;

/** Writes a mapping file for the hub into `dir`; gives its path. */
function mappingFile(dir, h, change = () => {}) {
  const mapping = {
    hub: { host_name: h.host, port: h.port, ca_file: h.caFile, device_id: 'gateway-01', credentials: 'credentials' },
    connections: { plant: { transport: 'tcp', host: '127.0.0.1' } },
    devices: {
      'boiler-7': { connection: 'plant', unit_id: 7, tags: { pump: { table: 'coil', address: 3 } } },
      'boiler-8': { connection: 'plant', unit_id: 8, tags: { pump: { table: 'coil', address: 3 } } },
      'boiler-9': { connection: 'plant', unit_id: 9, tags: { pump: { table: 'coil', address: 3 } } },
    },
    modules: { heating: { devices: ['boiler-7', 'boiler-8'] } },
  };
  change(mapping);
  const file = path.join(dir, 'mapping.json');
  fs.writeFileSync(file, JSON.stringify(mapping));
  return file;
}

const mode = (file) => (fs.statSync(file).mode & 0o777).toString(8);

test('provision makes what is missing, once', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  const signIn = h.signIn().slice(0, 2); // port and CA are the mapping file's

  const dry = await run(t, 'twinctl', ['provision', file, '--dry-run', ...signIn]);
  assert.equal(dry.code, 0, dry.stderr);
  assert.match(dry.stdout, /^module heating: would be created$/m);
  assert.equal(fs.existsSync(path.join(dir, 'credentials')), false);
  assert.equal((await h.rest('GET', '/devices/gateway-01')).status, 404);

  const first = await run(t, 'twinctl', ['provision', file, ...signIn]);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^device gateway-01: created$/m);
  assert.match(first.stdout, /^module heating: created$/m);
  assert.match(first.stdout, /^module heating: credential written: .*\/credentials\/heating$/m);
  assert.equal(mode(path.join(dir, 'credentials')), '700');
  for (const module of ['heating', 'boiler-9']) {
    const credential = path.join(dir, 'credentials', module);
    const identity = (await h.rest('GET', `/devices/gateway-01/modules/${module}`)).body;
    assert.equal(mode(credential), '600');
    assert.deepEqual(parts(fs.readFileSync(credential, 'utf8')), {
      HostName: 'localhost', DeviceId: 'gateway-01', ModuleId: module,
      SharedAccessKey: identity.authentication.symmetricKey.primaryKey,
    });
    assert.ok(!first.stdout.includes(identity.authentication.symmetricKey.primaryKey), 'no secret is printed');
  }
  assert.deepEqual(fs.readdirSync(path.join(dir, 'credentials')).sort(), ['boiler-9', 'heating']);

  const written = fs.statSync(path.join(dir, 'credentials/heating')).mtimeMs;
  const again = await run(t, 'twinctl', ['provision', file, '--json', ...signIn]);
  assert.equal(again.code, 0, again.stderr);
  assert.deepEqual(JSON.parse(again.stdout)[0], { device: 'gateway-01', result: 'exists' });
  assert.ok(JSON.parse(again.stdout).every(({ result }) => /^(exists|credential is right)$/.test(result)));
  assert.equal(fs.statSync(path.join(dir, 'credentials/heating')).mtimeMs, written);
});

test('provision renews an old key and leaves the file of somebody else alone', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  const heating = path.join(dir, 'credentials/heating');
  const boiler = path.join(dir, 'credentials/boiler-9');
  const good = await h.create('gateway-01', 'heating');
  fs.mkdirSync(path.join(dir, 'credentials'));
  fs.writeFileSync(heating, good.replace(/SharedAccessKey=.*/, `SharedAccessKey=${KEY}`));
  fs.writeFileSync(boiler, 'HostName=contoso.example;DeviceId=gateway-01;ModuleId=boiler-9;SharedAccessKey=' + KEY);

  const result = await run(t, 'twinctl', ['provision', file, ...h.signIn()]);

  assert.equal(result.code, 78);
  assert.match(result.stdout, /^module heating: credential renewed: /m);
  assert.equal(fs.readFileSync(heating, 'utf8').trim(), good);
  assert.match(result.stderr, /module boiler-9: .*left alone: it is for gateway-01\/boiler-9 on contoso.example/);
  assert.match(fs.readFileSync(boiler, 'utf8'), /contoso/);
});

test('provision says what stands in its way', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  const file = mappingFile(dir, h);
  const elsewhere = path.join(dir, 'elsewhere');
  fs.writeFileSync(elsewhere, `HostName=contoso.example;SharedAccessKeyName=iothubowner;SharedAccessKey=${KEY}`);

  const policy = await run(t, 'twinctl', ['provision', file, ...h.signIn('service')]);
  assert.equal(policy.code, 77);
  assert.match(policy.stderr, /^twinctl provision: device gateway-01: 401 .*registry read and write \(iothubowner\)[^\n]*\n$/);

  const other = await run(t, 'twinctl', ['provision', file, '--hub-connection-string-file', elsewhere]);
  assert.equal(other.code, 78);
  assert.match(other.stderr, /hub.host_name is localhost, but the sign-in is for contoso.example/);

  fs.writeFileSync(file, '{"hub": {}}');
  const bad = await run(t, 'twinctl', ['provision', file, ...h.signIn()]);
  assert.equal(bad.code, 78);
  assert.match(bad.stderr, /mapping\.json:1:/);
});

test('twin update changes what it names, and twin get shows it', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  const ctl = (...args) => run(t, 'twinctl', [...args, ...h.signIn('service')]);

  const update = await ctl('twin', 'update', 'gateway-01/heating', 'b.setpoint=21.5', 'b.pump=true', 'name=north');
  assert.equal(update.code, 0, update.stderr);
  assert.match(update.stdout, /^gateway-01\/heating: twin updated, desired version 2, etag AAAAAAAAAAI=\n$/);
  const { $metadata, $version, ...desired } = (await h.twin('gateway-01', 'heating')).properties.desired;
  assert.deepEqual(desired, { b: { setpoint: 21.5, pump: true }, name: 'north' });

  const deleted = await ctl('twin', 'update', 'gateway-01/heating', 'name=null');
  assert.equal(deleted.code, 0, deleted.stderr);
  assert.equal((await h.twin('gateway-01', 'heating')).properties.desired.name, undefined);

  const shown = await ctl('twin', 'get', 'gateway-01/heating');
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /^! b.setpoint +21.5 +\d+ s +-$/m);
  assert.match(shown.stdout, /^! 2 desired properties are not reported as desired$/m);

  const raw = await ctl('twin', 'get', 'gateway-01/heating', '--json');
  assert.equal(JSON.parse(raw.stdout).moduleId, 'heating');

  const tags = await ctl('twin', 'update', 'gateway-01/heating', '--tags', 'site=north');
  assert.equal(tags.code, 0, tags.stderr);
  const twin = await h.twin('gateway-01', 'heating');
  assert.deepEqual([twin.tags, twin.properties.desired.$version], [{ site: 'north' }, 3]);
});

test('a patch comes from a file or from standard input too', async (t) => {
  const h = await hub(t);
  const dir = folder(t);
  await h.create('gateway-01', 'heating');
  const file = path.join(dir, 'a=b.json');
  fs.writeFileSync(file, '{"setpoint": 21}');

  const fromFile = await run(t, 'twinctl', ['twin', 'update', 'gateway-01/heating', file, 'pump=true', ...h.signIn()]);
  assert.equal(fromFile.code, 0, fromFile.stderr);
  const fromInput = await run(t, 'twinctl', ['twin', 'update', 'gateway-01/heating', '-', ...h.signIn()],
    { input: '{"mode": {"night": true}}' });
  assert.equal(fromInput.code, 0, fromInput.stderr);

  const { desired } = (await h.twin('gateway-01', 'heating')).properties;
  assert.deepEqual([desired.setpoint, desired.pump, desired.mode], [21, true, { night: true }]);
});

test('an update is lost to nobody: the etag decides', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  const dir = folder(t);
  const document = path.join(dir, 'twin.json');
  const ctl = (...args) => run(t, 'twinctl', ['twin', ...args, ...h.signIn()]);

  fs.writeFileSync(document, (await ctl('get', 'gateway-01/heating', '--json')).stdout);
  assert.equal((await ctl('update', 'gateway-01/heating', 'setpoint=20')).code, 0);

  const stale = await ctl('update', 'gateway-01/heating', 'setpoint=21', '--etag', 'AAAAAAAAAAE=');
  assert.equal(stale.code, 75);
  assert.match(stale.stderr, /^twinctl twin update: gateway-01\/heating: 412 .*its etag is now AAAAAAAAAAI=\n$/);

  const edited = JSON.parse(fs.readFileSync(document, 'utf8'));
  edited.properties.desired.setpoint = 22;
  fs.writeFileSync(document, JSON.stringify(edited));
  assert.equal((await ctl('update', 'gateway-01/heating', '--whole', document)).code, 75, 'the file has an old etag');
  assert.equal((await h.twin('gateway-01', 'heating')).properties.desired.setpoint, 20);

  assert.equal((await ctl('update', 'gateway-01/heating', '--whole', document, '--force')).code, 0);
  assert.equal((await h.twin('gateway-01', 'heating')).properties.desired.setpoint, 22);
  const quoted = await ctl('update', 'gateway-01/heating', 'setpoint=23', '--etag', '"AAAAAAAAAAM="');
  assert.equal(quoted.code, 0, quoted.stderr);
});

test('every request is bound to an etag in quotes, and signed', async (t) => {
  const twin = { etag: 'AAE=', properties: { desired: { $version: 1 }, reported: {} } };
  const fake = await fakeHttps(t, (request, response) => response.end(JSON.stringify(twin)));
  const env = { IOTHUB_CONNECTION_STRING: SIGN_IN };
  const options = ['--port', String(fake.port), '--ca-file', fake.caFile];

  const update = await run(t, 'twinctl', ['twin', 'update', 'gw 1#x/m+1', 'a=1', ...options], { env });
  assert.equal(update.code, 0, update.stderr);
  await run(t, 'twinctl', ['twin', 'update', 'gw 1#x/m+1', 'a=1', '--force', ...options], { env });

  const [get, patch, forced] = fake.requests;
  assert.equal(get.method, 'GET');
  assert.equal(get.url, '/twins/gw%201%23x/modules/m%2B1?api-version=2021-04-12');
  assert.equal(get.headers['if-match'], undefined);
  assert.match(get.headers.authorization, /^SharedAccessSignature sr=localhost&sig=[^&]+&(se=\d+&skn=service|skn=service&se=\d+)$/);
  assert.equal(patch.method, 'PATCH');
  assert.equal(patch.headers['if-match'], '"AAE="');
  assert.equal(patch.headers['content-type'], 'application/json; charset=utf-8');
  assert.deepEqual(JSON.parse(patch.body), { properties: { desired: { a: 1 } } });
  assert.equal(forced.headers['if-match'], '"*"');
  assert.equal(fake.requests.length, 3, 'with --force nothing is read first');
});

test('answers of every kind become one line and an exit code', async (t) => {
  const json = { 'Content-Type': 'application/json; charset=utf-8' };
  const cases = [
    [400, json, '{"Message":"ErrorCode:ArgumentInvalid;too deep","ExceptionMessage":"x"}', 65, /400 ArgumentInvalid: too deep/],
    [401, { 'Content-Type': 'text/html' }, '<html><body><h1>Not\nallowed</h1></body></html>', 77, /401 Not allowed;/],
    [403, {}, '', 77, /403 forbidden/],
    [404, { ...json, 'iothub-errorcode': 'ModuleNotFound' }, '{"Message":"ErrorCode:ModuleNotFound;gone"}', 66,
      /404 ModuleNotFound: gone; check the names/],
    [429, json, '{"Message":"ErrorCode:ThrottlingException;slow down"}', 75, /429 ThrottlingException: slow down; try again/],
    [500, json, '{"Message":"ErrorCode:Serv', 75, /500 {"Message":"ErrorCode:Serv/],
    [503, {}, 'busy\x1b[2J\r\nnow', 75, /503 busy \[2J now/],
    [302, { Location: 'https://portal.example/' }, '', 69, /302 .*no IoT Hub/],
    [200, json, '{"etag":', 69, /200, but the answer is none of a hub's/],
    [200, json, '{"etag":"x"}', 69, /200, but the answer is no twin/],
    [200, { 'Content-Type': 'text/html' }, '<html>Welcome</html>', 69, /200, but the answer is none of a hub's/],
  ];
  let now;
  const fake = await fakeHttps(t, (request, response) => {
    response.writeHead(now[0], now[1]);
    response.end(now[2]);
  });

  for (now of cases) {
    const result = await run(t, 'twinctl',
      ['twin', 'get', 'gw/m', '--retry-for', '0s', '--port', String(fake.port), '--ca-file', fake.caFile],
      { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });
    assert.equal(result.code, now[3], `${now[0]}: ${result.stderr}`);
    assert.match(result.stderr, /^twinctl twin get: gw\/m: [^\n]*\n$/, 'one line');
    assert.match(result.stderr, now[4]);
    assert.equal(result.stdout, '');
  }
});

test('an answer that is cut off is no success', async (t) => {
  const fake = await fakeHttps(t, (request, response) => {
    response.writeHead(request.url.includes('refused') ? 400 : 200, { 'Content-Length': 1000 });
    response.write('{"Message":"ErrorCode:ArgumentInvalid;the f');
    setImmediate(() => response.socket.destroy());
  });
  const get = (name) => run(t, 'twinctl',
    ['twin', 'get', name, '--retry-for', '0s', '--port', String(fake.port), '--ca-file', fake.caFile],
    { env: { IOTHUB_CONNECTION_STRING: SIGN_IN } });

  const cut = await get('gw');
  assert.equal(cut.code, 69);
  assert.match(cut.stderr, /hub localhost:\d+: .*try again later/);
  const refused = await get('refused');
  assert.equal(refused.code, 65);
  assert.match(refused.stderr, /400 .*the f/);
});

test('a hub that is not there, or not the one it says, is not reachable', async (t) => {
  const fake = await fakeHttps(t, (request, response) => response.end('{}'));
  const other = await fakeHttps(t, (request, response) => response.end('{}'));
  const get = (sign, ...options) => run(t, 'twinctl', ['twin', 'get', 'gw', '--retry-for', '0s', ...options],
    { env: { IOTHUB_CONNECTION_STRING: sign } });
  const port = ['--port', String(fake.port)];

  const system = await get(SIGN_IN, ...port);
  assert.deepEqual([system.code, /certificate.*--ca-file/.test(system.stderr)], [69, true], system.stderr);
  const wrongCa = await get(SIGN_IN, ...port, '--ca-file', other.caFile);
  assert.equal(wrongCa.code, 69, wrongCa.stderr);
  const wrongName = await get(SIGN_IN.replace('localhost', '127.0.0.1'), ...port, '--ca-file', fake.caFile);
  assert.deepEqual([wrongName.code, /host name/.test(wrongName.stderr)], [69, true], wrongName.stderr);
  const noCa = await get(SIGN_IN, ...port, '--ca-file', '/nowhere/ca.pem');
  assert.deepEqual([noCa.code, /PEM file/.test(noCa.stderr)], [78, true], noCa.stderr);
  const closed = await get(SIGN_IN, '--port', '1', '--ca-file', fake.caFile);
  assert.deepEqual([closed.code, /check host name, --port/.test(closed.stderr)], [69, true], closed.stderr);
  assert.equal(fake.requests.length, 0, 'no token went to anybody who could not prove who he is');
});

test('the proxy of HTTPS_PROXY is used, and its refusal is told apart', async (t) => {
  const twin = { etag: 'AAE=', properties: { desired: {}, reported: {} } };
  const fake = await fakeHttps(t, (request, response) => response.end(JSON.stringify(twin)));
  const asked = [];
  const proxy = http.createServer();
  proxy.on('connect', (request, socket) => {
    asked.push(request.url);
    if (request.headers['proxy-authorization'] === undefined) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    const onward = net.connect(fake.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      onward.pipe(socket).pipe(onward);
    });
    onward.on('error', () => socket.destroy());
    socket.on('error', () => onward.destroy());
  });
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  cleanup(t, () => new Promise((resolve) => proxy.close(resolve)));
  const get = (user) => run(t, 'twinctl', ['twin', 'get', 'gw', '--port', String(fake.port), '--ca-file', fake.caFile],
    { env: { IOTHUB_CONNECTION_STRING: SIGN_IN, HTTPS_PROXY: `http://${user}127.0.0.1:${proxy.address().port}` } });

  const passed = await get('user:secret@');
  assert.equal(passed.code, 0, passed.stderr);
  assert.deepEqual(asked, [`localhost:${fake.port}`]);
  const refused = await get('');
  assert.equal(refused.code, 69);
  assert.match(refused.stderr, /407.*HTTPS_PROXY names this proxy/);
});

test('a sign-in that cannot be one is said without its secret', async (t) => {
  const dir = folder(t);
  const file = (name, text) => {
    fs.writeFileSync(path.join(dir, name), text);
    return path.join(dir, name);
  };
  const cases = [
    [[], {}, 78, /no sign-in: give --hub-connection-string-file/],
    [['--hub-connection-string-file', path.join(dir, 'none')], {}, 66, /none: cannot read: No such file/],
    [['--hub-connection-string-file', file('a', 'hello')], {}, 78, /sign-in .*\/a: /],
    [['--hub-connection-string-file', file('b', `HostName=h;DeviceId=d;SharedAccessKey=${KEY}`)], {}, 78,
      /connection string of the device d/],
    [[], { IOTHUB_CONNECTION_STRING: `HostName=h;SharedAccessKey=${KEY}` }, 78, /SharedAccessKeyName is missing/],
    [[], { IOTHUB_CONNECTION_STRING: `SharedAccessKeyName=p;SharedAccessKey=${KEY}` }, 78, /HostName/],
  ];

  for (const [args, env, code, message] of cases) {
    const result = await run(t, 'twinctl', ['twin', 'get', 'gw', ...args], { env });
    assert.equal(result.code, code, result.stderr);
    assert.match(result.stderr, message);
    assert.ok(!result.stderr.includes(KEY));
  }
});

test('usage: what is wrong is named, and every verb has its help', async (t) => {
  const wrong = [
    [['twin'], /'twin' wants a second word: get, update, replace;/],
    [['twin', 'gett', 'x'], /no verb 'twin gett' \(did you mean 'twin get'\?\)/],
    [['tiwn', 'get', 'x'], /no verb 'tiwn' \(did you mean 'twin'\?\)/],
    [['twin', 'get'], /DEVICE\[\/MODULE\] is missing: twinctl twin get DEVICE/],
    [['twin', 'get', 'a', 'b'], /'b' is one argument too many: twinctl twin get DEVICE/],
    [['twin', 'get', 'a', '--nope'], /twin get: there is no option '--nope'/],
    [['twin', 'get', 'a', '--force'], /twin get: there is no option '--force'/],
    [['twin', 'get', 'a', '--json=yes'], /--json takes no value/],
    [['twin', 'get', 'a', '--port'], /--port wants a value/],
    [['twin', 'get', 'a', '--port=99999'], /--port wants a number from 1 to 65535, not '99999'/],
    [['twin', 'get', 'a/b/c'], /'a\/b\/c' is not DEVICE\[\/MODULE\]/],
    [['twin', 'get', 'a/'], /'a\/' names no module; .*'a\/\$edgeHub' in single quotes/],
    [['twin', 'get', ''], /'' is not DEVICE\[\/MODULE\]/],
    [['module', 'create', 'a'], /'a' is not DEVICE\/MODULE; see twinctl module create --help/],
    [['module', 'list', 'a/b'], /'a\/b' is not DEVICE;/],
    [['device', 'show', 'a/b'], /'a\/b' is not DEVICE;/],
    [['device', 'create'], /DEVICE is missing/],
    [['device', 'list', 'x'], /there is no argument to take 'x'/],
    [['device', 'delete', 'a', '--etag', 'x', '--force'], /exclude each other/],
    [['device', 'delete', 'a', '--etag', 'a b'], /'a b' is no etag/],
    [['device', 'disable', 'a', '--reason', 'x'.repeat(129)], /longer than 128/],
    [['query'], /QUERY is missing/],
    [['query', 'x', '--page-size', '1001'], /--page-size wants a number from 1 to 1000/],
    [['method', 'a/b'], /NAME is missing/],
    [['method', 'a/b', 'x', '--timeout', '4s'], /--timeout wants a time from 5s to 5m/],
    [['method', 'a/b', 'x', '--timeout', '5500ms'], /--timeout wants whole seconds/],
    [['watch', 'a', '--interval', 'soon'], /--interval wants a time from 100ms to 1d .*not 'soon'/],
    [['watch', 'a', '--until', 'reported.x'], /--until wants PATH=VALUE/],
    [['watch', 'a', '--until', 'x=1'], /a path begins with desired\., reported\. or tags\./],
    [['provision', 'm.json', '--owner', 'nobody-at-all'], /there is no user 'nobody-at-all'/],
    [['provision', 'm.json', '--owner', '0:no-such-group'], /there is no group 'no-such-group'/],
    [['twin', 'replace', 'a', 'b=null'], /'b' is null: a replacement leaves out/],
    [['twin', 'update', 'a', 'b=1', '--tags', '--whole'], /exclude each other/],
    [['twin', 'update', 'a', 'b=1', '--etag', 'x', '--force'], /exclude each other/],
    [['twin', 'update', 'a', '$b=1'], /'\$b' cannot be the name of a property/],
  ];
  const env = { IOTHUB_CONNECTION_STRING: SIGN_IN };

  for (const [args, message] of wrong) {
    const result = await run(t, 'twinctl', args, { env });
    assert.equal(result.code, 64, `${args}: ${result.stderr}`);
    assert.match(result.stderr, message);
    assert.match(result.stderr, /^[^\n]+\n$/);
  }
  const missing = await run(t, 'twinctl', ['twin', 'update', 'a', 'nofile.json'], { env });
  assert.deepEqual([missing.code, /nofile.json: cannot read/.test(missing.stderr)], [66, true]);

  const list = await run(t, 'twinctl', ['--help']);
  assert.equal(list.code, 0);
  const verbs = ['twin get', 'twin update', 'twin replace', 'module list', 'module show', 'module create', 'module delete',
    'device list', 'device show', 'device create', 'device delete', 'device enable', 'device disable', 'query', 'method',
    'watch', 'provision'];
  for (const verb of verbs) {
    assert.match(list.stdout, new RegExp(`^ {2}${verb} `, 'm'));
    const help = await run(t, 'twinctl', [...verb.split(' '), '--help']);
    assert.equal(help.code, 0, verb);
    assert.match(help.stdout, new RegExp(`^usage: twinctl ${verb} `));
    assert.match(help.stdout, /--hub-connection-string-file FILE/);
  }
});
