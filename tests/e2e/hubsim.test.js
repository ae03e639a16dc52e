// hubsim as a program: a thousand modules, what survives SIGKILL, what is answered later, its state as JSON,
// its switches.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';

import { folder, hub, parts, run, until } from './lib/index.js';
import { mqttIdentity } from './lib/mqtt_identity.js';

const DEVICES = 25;
const MODULES = 40; // of each

const ids = Array.from({ length: DEVICES * MODULES }, (_, i) =>
  ({ device: `gateway-${String(i % DEVICES).padStart(2, '0')}`, module: `m${String(Math.floor(i / DEVICES)).padStart(2, '0')}` }));

/** Runs `work(item)` for all items, so many at once. */
async function each(items, width, work) {
  const left = [...items.entries()];
  await Promise.all(Array.from({ length: width }, async () => {
    while (left.length > 0) {
      const [i, item] = left.shift();
      await work(item, i);
    }
  }));
}

function agentOf(t, sockets = 8) {
  const agent = new https.Agent({ keepAlive: true, maxSockets: sockets });
  t.after(() => agent.destroy());
  return agent;
}

/** All devices and modules in bulk calls of a hundred; gives the connection string of each module. */
async function populate(iot, agent) {
  const devices = [...new Set(ids.map(({ device }) => device))].map((id) => ({ id, importMode: 'create' }));
  const modules = ids.map(({ device, module }, i) =>
    ({ id: device, moduleId: module, importMode: 'create', properties: { desired: { number: i } } }));
  const items = [...devices, ...modules];
  for (let at = 0; at < items.length; at += 100) {
    const { status, body } = await iot.rest('POST', '/devices', { body: items.slice(at, at + 100), agent });
    assert.equal(status, 200, JSON.stringify(body).slice(0, 300));
  }
  const keys = new Map();
  for (const { id } of devices) {
    const { body } = await iot.rest('GET', `/devices/${id}/modules`, { agent });
    assert.equal(body.length, MODULES);
    for (const { moduleId, authentication } of body) keys.set(`${id}/${moduleId}`, authentication.symmetricKey.primaryKey);
  }
  const { HostName } = parts(iot.policies.iothubowner);
  return ({ device, module }) =>
    `HostName=${HostName};DeviceId=${device};ModuleId=${module};SharedAccessKey=${keys.get(`${device}/${module}`)}`;
}

/** All rows of a query, page by page; `pages` gets their sizes. */
async function query(iot, text, { most = 100, agent, pages = [] } = {}) {
  const rows = [];
  let continuation;
  do {
    const headers = { 'x-ms-max-item-count': String(most), ...(continuation && { 'x-ms-continuation': continuation }) };
    const answer = await iot.rest('POST', '/devices/query', { body: { query: text }, headers, agent });
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    rows.push(...answer.body);
    pages.push(answer.body.length);
    continuation = answer.headers['x-ms-continuation'];
  } while (continuation !== undefined);
  return rows;
}

async function timed(work) {
  const begun = performance.now();
  const result = await work();
  return [Math.round(performance.now() - begun), result];
}

test('a thousand modules: made in bulk, found by queries, connected, and back after a restart', async (t) => {
  const iot = await hub(t);
  const agent = agentOf(t);
  const [made, connectionString] = await timed(() => populate(iot, agent));
  t.diagnostic(`${ids.length} modules on ${DEVICES} devices made in ${made} ms`);

  const pages = [];
  const [found, rows] = await timed(() => query(iot, 'SELECT * FROM devices.modules', { most: 300, agent, pages }));
  t.diagnostic(`read in ${pages.length} pages in ${found} ms`);
  assert.deepEqual(pages, [300, 300, 300, 100]);
  assert.deepEqual(rows.map(({ deviceId, moduleId }) => `${deviceId}/${moduleId}`),
    ids.map(({ device, module }) => `${device}/${module}`).sort());
  const some = await query(iot, 'SELECT deviceId, moduleId FROM devices.modules WHERE properties.desired.number >= 990', { agent });
  assert.equal(some.length, 10);
  const groups = await query(iot, 'SELECT deviceId, COUNT() AS n FROM devices.modules GROUP BY deviceId', { agent });
  assert.ok(groups.length === DEVICES && groups.every(({ n }) => n === MODULES));

  const clients = new Map();
  const [connected] = await timed(() => each(ids, 20, async (id) =>
    clients.set(`${id.device}/${id.module}`, await mqttIdentity(t, iot, connectionString(id)))));
  t.diagnostic(`connected in ${connected} ms`);
  assert.equal((await query(iot, "SELECT moduleId FROM devices.modules WHERE connectionState = 'Connected'", { agent })).length, ids.length);
  const [reported] = await timed(() => each([...clients], 50, async ([name, client]) => {
    assert.equal((await client.report({ name })).status, 204);
    assert.equal((await client.get()).body.reported.name, name);
  }));
  t.diagnostic(`all reported and read in ${reported} ms`);
  const one = clients.get('gateway-07/m33');
  await iot.desire('gateway-07', 'm33', { rate: 5 });
  await until(() => one.desired.length === 1, { what: 'the patch' });
  assert.deepEqual(one.desired[0].body, { rate: 5, $version: one.desired[0].version });
  await Promise.all([...clients.values()].map((client) => client.close()));

  await iot.stop();
  const [restarted] = await timed(() => iot.start());
  t.diagnostic(`started with ${ids.length} modules in ${restarted} ms (this build has sanitizers)`);
  assert.ok(restarted < 5000, `${restarted} ms`); // 0.2 s where nothing else runs
  const names = await query(iot, 'SELECT properties.reported.name AS name FROM devices.modules');
  assert.equal(new Set(names.map(({ name }) => name)).size, ids.length);
});

test('SIGKILL in a storm of writes loses nothing that was answered', async (t) => {
  const iot = await hub(t);
  const names = ['m0', 'm1', 'm2', 'm3', 'm4', 'm5', 'm6', 'm7'];
  const strings = new Map();
  for (const name of names) strings.set(name, await iot.create('gateway-01', name));

  for (const rounds of [40, 90, 140]) { // how many answers before the kill
    const answered = new Map(names.map((name) => [name, { tags: 0, desired: 0, reported: 0 }]));
    const agent = agentOf(t, names.length);
    let count = 0;
    let over = false;
    const storm = names.map(async (name, i) => {
      const mine = answered.get(name);
      const client = await mqttIdentity(t, iot, strings.get(name));
      for (let n = 1; !over; n++) {
        try {
          if (i % 2 === 0) {
            const body = { tags: { n, round: rounds }, properties: { desired: { n, round: rounds } } };
            const { status } = await iot.rest('PATCH', `/twins/gateway-01/modules/${name}`, { body, etag: '*', agent });
            assert.equal(status, 200);
            mine.tags = mine.desired = n;
          } else {
            const answer = await client.report({ n, round: rounds });
            assert.equal(answer.status, 204);
            mine.reported = n;
          }
          count++;
        } catch (error) {
          if (!over) throw error;
        }
      }
      await client.close();
    });
    await until(() => count >= rounds, { timeout: 60000, what: `${rounds} answers` });
    over = true;
    await iot.kill();
    await Promise.all(storm);
    await iot.start();

    for (const name of names) {
      const twin = await iot.twin('gateway-01', name);
      const stored = { tags: twin.tags, desired: twin.properties.desired, reported: twin.properties.reported };
      for (const [section, n] of Object.entries(answered.get(name))) {
        if (n === 0) continue;
        assert.equal(stored[section].round, rounds, `${name} ${section}`);
        assert.ok(stored[section].n === n || stored[section].n === n + 1, // the last may have been stored and not answered
          `${name} ${section}: ${stored[section].n} is there, ${n} was answered`);
      }
      assert.equal(twin.tags.n, twin.properties.desired.n); // both or none
    }
  }
});

test('a full disk refuses writes, whole, and is no reason to end', async (t) => {
  const iot = await hub(t);
  await iot.create('d', 'm');
  const desired = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`k${i}`, 'x'.repeat(4000)]));
  const write = (n) => iot.rest('PATCH', '/twins/d/modules/m', { body: { properties: { desired: { ...desired, n } } } });
  const limit = (bytes) => execFileSync('prlimit', ['--pid', String(iot.program.pid), `--fsize=${bytes}:`]);

  limit(512 * 1024); // as a file system that is full: no file grows beyond it
  let n = 0;
  let answer = { status: 200 };
  for (; answer.status === 200 && n < 100; n++) answer = await write(n);
  assert.equal(answer.status, 500, JSON.stringify(answer.body));
  assert.match(answer.body.Message, /^ErrorCode:ServerError;/);
  const kept = await iot.twin('d', 'm');
  assert.equal(kept.properties.desired.n, n - 2);
  assert.equal((await iot.rest('DELETE', '/devices/d/modules/m')).status, 500);
  assert.deepEqual(await iot.twin('d', 'm'), kept);

  limit('unlimited');
  assert.equal((await write(n)).body.properties.desired.$version, kept.properties.desired.$version + 1);
});

test('a method that waits delays nobody, and its caller may go away', async (t) => {
  const iot = await hub(t);
  await iot.create('gateway-01', 'm');
  const slow = { methodName: 'x', connectTimeoutInSeconds: 300 };
  const resource = '/twins/gateway-01/modules/m/methods';
  const agent = agentOf(t, 1);

  const [short, answer] = await timed(() => iot.rest('POST', resource, { body: { methodName: 'x', connectTimeoutInSeconds: 1 }, agent }));
  assert.ok(short >= 1000);
  assert.equal(answer.status, 404);
  assert.equal(JSON.parse(answer.body.Message).errorCode, 404103);
  assert.equal((await iot.rest('GET', '/twins/gateway-01', { agent })).status, 200); // on the same connection

  const waiting = Array.from({ length: 20 }, () => new Promise((resolve) => {
    const { HostName } = parts(iot.policies.service);
    const request = https.request({ method: 'POST', host: '127.0.0.1', port: iot.port, servername: iot.host, ca: iot.ca, agent: false,
      path: `${resource}?api-version=2021-04-12`,
      headers: { Host: HostName, Authorization: iot.authorization('service'), 'Content-Length': JSON.stringify(slow).length } });
    request.on('error', () => resolve('gone'));
    request.end(JSON.stringify(slow));
    request.on('socket', (socket) => socket.on('secureConnect', () => setImmediate(() => resolve(request))));
  }));
  const requests = await Promise.all(waiting);
  const [quick] = await timed(() => iot.rest('GET', '/twins/gateway-01'));
  assert.ok(quick < 2000, `${quick} ms`);
  for (const request of requests.slice(0, 10)) request.destroy();
  assert.equal((await iot.rest('GET', '/twins/gateway-01')).status, 200);
  await iot.stop(); // with ten that still wait: exit code 0, nothing leaked
});

test('a request behind a method on one connection is answered behind it', async (t) => {
  const iot = await hub(t);
  await iot.create('gateway-01', 'm');
  const tls = await import('node:tls');
  const { HostName } = parts(iot.policies.service);
  const head = (line) => `${line} HTTP/1.1\r\nHost: ${HostName}\r\nAuthorization: ${iot.authorization('service')}\r\n`;
  const body = '{"methodName":"x","connectTimeoutInSeconds":2}';
  const socket = tls.connect({ host: '127.0.0.1', port: iot.port, servername: iot.host, ca: iot.ca });
  let text = '';
  let closed = false;
  socket.on('data', (more) => text += more);
  socket.on('error', () => {});
  socket.on('close', () => closed = true);
  t.after(() => socket.destroy());

  socket.write(`${head('POST /twins/gateway-01/modules/m/methods?api-version=2021-04-12')}Content-Length: ${body.length}\r\n\r\n${body}`);
  await new Promise((resolve) => setTimeout(resolve, 300)); // a piece of its own
  socket.write(`${head('GET /twins/gateway-01?api-version=2021-04-12')}\r\n`);
  await until(() => closed || text.split('HTTP/1.1 ').length === 3, { timeout: 15000, what: 'both answers, or the end' });
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  assert.deepEqual(statuses, [404, 200]);
  assert.equal((await iot.rest('GET', '/twins/gateway-01')).status, 200);
});

test('--dump prints the state, with keys only when they are wanted, and not while hubsim runs', async (t) => {
  const iot = await hub(t);
  const connectionString = await iot.create('gateway-01', 'm');
  const client = await mqttIdentity(t, iot, connectionString);
  await client.report({ temperature: 21.5 });
  await client.close();
  assert.equal((await iot.rest('POST', '/devices/gateway-01/messages/deviceBound', { text: 'hello', headers: { 'Content-Length': 5 } })).status, 204);

  const busy = await run(t, 'hubsim', ['--state', iot.state, '--dump']);
  assert.equal(busy.code, 75);
  assert.match(busy.stderr, /another process has it open/);
  assert.equal(busy.stdout, '');
  await iot.stop();

  const { code, stdout } = await run(t, 'hubsim', ['--dump', '--state', iot.state]);
  assert.equal(code, 0);
  const state = JSON.parse(stdout);
  assert.equal(state.devices[0].identity.deviceId, 'gateway-01');
  assert.equal(Buffer.from(state.devices[0].queue[0].bodyBase64, 'base64').toString(), 'hello');
  assert.equal(state.modules[0].twin.properties.reported.temperature, 21.5);
  assert.deepEqual(state.modules[0].session.map(({ filter }) => filter).sort(),
    ['$iothub/twin/PATCH/properties/desired/#', '$iothub/twin/res/#']);
  const key = parts(connectionString).SharedAccessKey;
  assert.ok(!stdout.includes(key) && !stdout.includes(parts(iot.policies.service).SharedAccessKey));
  const whole = await run(t, 'hubsim', ['--dump-keys', '--state', iot.state]);
  assert.ok(whole.stdout.includes(key) && whole.stdout.includes(parts(iot.policies.service).SharedAccessKey));

  const missing = path.join(iot.folder, 'missing.db');
  const none = await run(t, 'hubsim', ['--dump', '--state', missing]);
  assert.equal(none.code, 66);
  assert.match(none.stderr, /missing\.db: No such file/);
  assert.ok(!fs.existsSync(missing));
  fs.writeFileSync(missing, 'this is no database, but it is long enough to be taken for one at first sight '.repeat(20));
  const other = await run(t, 'hubsim', ['--dump', '--state', missing]);
  assert.equal(other.code, 78);
  await iot.start();
});

test('an etag without quotes is ignored, or refused with --strict-if-match', async (t) => {
  for (const [args, want] of [[[], 200], [['--strict-if-match'], 400]]) {
    const iot = await hub(t, { args });
    await iot.create('gateway-01', 'm');
    const { etag } = await iot.twin('gateway-01', 'm');
    const patch = (value) => iot.rest('PATCH', '/twins/gateway-01/modules/m', { body: { tags: { a: 1 } }, headers: { 'If-Match': value } });
    assert.equal((await patch(etag)).status, want);
    assert.equal((await patch('"AAAAAAAAAA8="')).status, 412);
    assert.equal((await patch('*')).status, 200);
    assert.equal((await patch('"*"')).status, 200);
  }
});

test('the switches of the open points', async (t) => {
  const iot = await hub(t, { args: ['--report-changes', 'both', '--missing-section', 'kept', '--equal-desired', 'ignored',
    '--module-created', '201', '--tls', '1.2'] });
  await iot.create('gateway-01');
  const created = await iot.rest('PUT', '/devices/gateway-01/modules/m', { body: {} });
  assert.equal(created.status, 201);
  const client = await mqttIdentity(t, iot, await iot.create('gateway-01', 'm'));

  const before = await iot.twin('gateway-01', 'm');
  await client.report({ a: 1 });
  const after = await iot.twin('gateway-01', 'm');
  assert.notEqual(after.etag, before.etag);
  assert.equal(after.version, before.version + 1);

  await iot.desire('gateway-01', 'm', { rate: 5 });
  const { desired } = (await iot.twin('gateway-01', 'm')).properties;
  await iot.desire('gateway-01', 'm', { rate: 5 });
  assert.equal((await iot.twin('gateway-01', 'm')).properties.desired.$version, desired.$version);
  const replaced = await iot.rest('PUT', '/twins/gateway-01/modules/m', { body: { tags: { site: 'A' } }, etag: '*' });
  assert.equal(replaced.body.properties.desired.rate, 5);

  const tls = await import('node:tls');
  const refused = await new Promise((resolve) => {
    const socket = tls.connect({ host: '127.0.0.1', port: iot.port, servername: iot.host, ca: iot.ca, minVersion: 'TLSv1.3' },
      () => resolve(undefined));
    socket.on('error', resolve);
    t.after(() => socket.destroy());
  });
  assert.match(refused.message, /protocol version/);
});

test('the metadata address gives tokens that open the hub, over plain HTTP, and nothing else', async (t) => {
  const iot = await hub(t, { args: ['--imds', '127.0.0.1:0', '--entra-lifetime', '2'] });
  const imds = iot.program.stdout.match(/^imds (http:\/\/127\.0\.0\.1:\d+)$/m)[1];
  const ask = (where, headers = {}) => fetch(`${imds}${where}`, { headers });
  const resource = 'resource=https%3A%2F%2Fiothubs.azure.net';

  assert.equal((await ask(`/metadata/identity/oauth2/token?api-version=2018-02-01&${resource}`)).status, 400);
  const answer = await ask(`/metadata/identity/oauth2/token?api-version=2018-02-01&${resource}`, { Metadata: 'true' });
  assert.equal(answer.status, 200);
  const { access_token: bearer, expires_in: lifetime } = await answer.json();
  assert.equal(lifetime, '2');
  const list = () => iot.rest('GET', '/devices', { headers: { Authorization: `Bearer ${bearer}` } });
  assert.equal((await list()).status, 200);
  await until(async () => (await list()).status === 401, { what: 'the end of the token' });
  assert.equal((await ask('/devices?api-version=2021-04-12')).status, 404);
  assert.equal((await iot.rest('GET', '/metadata/identity/oauth2/token')).status, 404); // not at the hub's own door
});

test('what cannot be had is said in a line, with an exit code of its own', async (t) => {
  const dir = folder(t);
  const taken = net.createServer();
  await new Promise((resolve) => taken.listen(0, '127.0.0.1', resolve));
  t.after(() => taken.close());
  const { port } = taken.address();
  fs.writeFileSync(path.join(dir, 'empty.db'), '');
  fs.writeFileSync(path.join(dir, 'text.db'), 'a text of somebody\n'.repeat(100));

  for (const [args, code, text] of [
    [[], 64, /--state FILE is missing/],
    [['--state', 'x', '--listen', 'somewhere'], 64, /--listen wants an IP address, not 'somewhere'/],
    [['--state', 'x', '--report-changes', 'all'], 64, /--report-changes is version, both or neither, not 'all'/],
    [['--state', path.join(dir, 'none', 'hub.db')], 78, /No such file/],
    [['--state', path.join(dir, 'none.db'), '--dump'], 66, /No such file/],
    [['--state', path.join(dir, 'empty.db'), '--dump'], 78, /not a state of this hubsim/],
    [['--state', path.join(dir, 'text.db'), '--dump'], 78, /not a state of this hubsim/],
    [['--state', path.join(dir, 'text.db')], 78, /not a state of this hubsim/],
    [['--state', dir, '--dump'], 78, /Is a directory/],
    [['--state', path.join(dir, 'a.db'), '--port', String(port)], 75, /in use/],
    [['--state', path.join(dir, 'a.db'), '--port', '0', '--imds', `127.0.0.1:${port}`], 75, /in use/],
    [['--state', path.join(dir, 'a.db'), '--port', '0', '--imds', 'nowhere'], 78, /--imds is not ADDR:PORT/],
    [['--state', path.join(dir, 'a.db'), '--port', '0', '--entra-certificate', path.join(dir, 'c.pem')], 78, /c\.pem: No such file/],
  ]) {
    const ended = await run(t, 'hubsim', args);
    assert.equal(ended.code, code, `${args.join(' ')}: ${ended.stderr}`);
    assert.match(ended.stderr, text);
    assert.equal(ended.stderr.trimEnd().split('\n').length, 1, ended.stderr);
  }
  assert.equal(fs.statSync(path.join(dir, 'empty.db')).size, 0);
});
