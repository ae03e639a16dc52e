// What goes away comes back without anybody's help: the hub, the bridge, the device, the token. Nothing
// is lost, nothing is written twice, and nothing old is shown as new.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';

import { boilers, bridge, cleanup, hub, parts, plant, stays, token, until } from './lib/index.js';

const DEVICE = 'gateway-01';
const TWO = { 'boiler-7': 7, 'boiler-8': 8 };
const ONE = { 'boiler-7': 7 };

async function system(t, { units = ONE, hubArgs, ...options } = {}) {
  const iot = await hub(t, { args: hubArgs });
  const site = await plant(t, units);
  const gateway = await bridge(t, { hub: iot, ports: site.ports, mapping: boilers(units, options) });
  await gateway.ready();
  return { iot, site, gateway };
}

/** Waits until a reported property of a module is as `wanted` says (deep equality, or a function). */
function shows(iot, module, property, wanted, timeout = 20000) {
  const right = typeof wanted === 'function' ? wanted : (value) => {
    try {
      assert.deepEqual(value, wanted);
      return true;
    } catch {
      return false;
    }
  };
  let last;
  return until(async () => right(last = (await iot.reported(DEVICE, module))[property]),
    { timeout, what: `${module}.${property} ${JSON.stringify(wanted) ?? wanted}` })
    .catch((error) => assert.fail(`${error.message}; it is ${JSON.stringify(last)}`));
}

const acknowledged = (value, av, ac = 200, ad = '') => ({ value, ac, av, ad });

/** Desires a set-point; gives the $version of the document that says so. */
async function desire(iot, module, setpoint) {
  return (await iot.desire(DEVICE, module, { setpoint })).properties.desired.$version;
}

test('a hub that was killed is found again: what differs is reported, what was desired is written once', async (t) => {
  const { iot, site, gateway } = await system(t);
  const port = iot.port;

  const first = await desire(iot, 'boiler-7', 21);
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(21, first));
  const before = (await iot.twin(DEVICE, 'boiler-7')).properties.reported;
  await iot.kill();
  await gateway.reaches('waiting');
  await site.temperature('boiler-7', 71.5);

  // Where the bridge does not find it, so that the order is surely from before the reconnect.
  iot.port = 0;
  await iot.start();
  const second = await desire(iot, 'boiler-7', 22);
  await iot.kill();
  assert.deepEqual(await site.setpoints('boiler-7'), [21]);

  iot.port = port;
  await iot.start();
  await gateway.ready();
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(22, second));
  await shows(iot, 'boiler-7', 'temperature', 71.5);
  assert.deepEqual(await site.setpoints('boiler-7'), [21, 22]);
  const after = (await iot.twin(DEVICE, 'boiler-7')).properties.reported;
  assert.deepEqual(after.$metadata.pump, before.$metadata.pump, 'what did not differ is not sent again');
  assert.equal((await gateway.module('boiler-7')).reconnects, 1);
});

test('a hub that was killed in the middle of changes has the last of them afterwards', async (t) => {
  const { iot, site, gateway } = await system(t);
  let degrees = 60;
  let going = true;
  const changes = (async () => {
    while (going) await site.temperature('boiler-7', degrees += 0.5);
  })();

  for (let round = 0; round < 2; round++) { // a third time within seconds would look like an evicted client
    const reached = degrees + 5;
    await shows(iot, 'boiler-7', 'temperature', (value) => value >= reached);
    await iot.kill();
    await iot.start();
    await gateway.ready();
  }
  going = false;
  await changes;

  await shows(iot, 'boiler-7', 'temperature', degrees);
  assert.equal((await gateway.module('boiler-7')).pending, 0);
});

test('a hub that stands still is given up and found again when it goes on', async (t) => {
  const { iot, site, gateway } = await system(t, { hub: { keepalive: '1s' } });

  await shows(iot, 'boiler-7', 'temperature', 60);
  iot.program.signal('SIGSTOP');
  cleanup(t, () => iot.program.signal('SIGCONT'));
  await site.temperature('boiler-7', 67);
  await until(async () => /the link is dead: no answer to PINGREQ/.test((await gateway.module('boiler-7')).error),
    { timeout: 30000, what: 'a dead link' });
  iot.program.signal('SIGCONT');

  await gateway.ready();
  await shows(iot, 'boiler-7', 'temperature', 67);
});

test('a module that was made anew in the hub gets everything again, and nothing is written', async (t) => {
  const { iot, site, gateway } = await system(t);
  const { SharedAccessKey } = parts(fs.readFileSync(gateway.credential('boiler-7'), 'utf8'));
  const resource = `/devices/${DEVICE}/modules/boiler-7`;

  const version = await desire(iot, 'boiler-7', 21);
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(21, version));
  assert.equal((await iot.rest('DELETE', resource, { etag: '*' })).status, 204);
  await gateway.reaches('refused');
  assert.equal((await iot.rest('PUT', resource, { body: { deviceId: DEVICE, moduleId: 'boiler-7', authentication:
    { type: 'sas', symmetricKey: { primaryKey: SharedAccessKey, secondaryKey: SharedAccessKey } } } })).status, 200);

  await gateway.ready();
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(21, 0, 203, 'device\'s own value'));
  await shows(iot, 'boiler-7', 'temperature', 60);
  assert.deepEqual(await site.setpoints('boiler-7'), [21]);
  const again = await desire(iot, 'boiler-7', 21); // an order by its $version, although its number is an old one
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(21, again));
});

test('a bridge that was killed after an acknowledgement writes nothing and shows the right values', async (t) => {
  const { iot, site, gateway } = await system(t, { units: TWO });

  const version = await desire(iot, 'boiler-7', 23.5);
  const other = await desire(iot, 'boiler-8', 24.5);
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(23.5, version));
  await shows(iot, 'boiler-8', 'setpoint', acknowledged(24.5, other));
  await gateway.kill();
  await site.temperature('boiler-7', 66);
  await site.setpoint('boiler-8', 19); // by somebody at the device
  await gateway.start();
  await gateway.ready();

  await shows(iot, 'boiler-7', 'temperature', 66);
  await shows(iot, 'boiler-8', 'setpoint', acknowledged(19, other, 203, 'changed at the device'));
  const reads = await site.reads('boiler-7');
  await until(async () => await site.reads('boiler-7') >= reads + 10, { what: 'ten more polls' });
  assert.deepEqual(await site.setpoints('boiler-7'), [23.5]);
  assert.deepEqual(await site.setpoints('boiler-8'), [24.5]);
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(23.5, version));
});

test('a bridge that was killed as soon as the register has changed does not change it again', async (t) => {
  const { iot, site, gateway } = await system(t);

  for (let setpoint = 21; setpoint <= 25; setpoint++) {
    const version = await desire(iot, 'boiler-7', setpoint);
    await until(async () => (await site.setpoints('boiler-7')).at(-1) === setpoint, { every: 1, what: 'the write' });
    await gateway.kill(); // before or after the acknowledgement
    await gateway.start();
    await shows(iot, 'boiler-7', 'setpoint', acknowledged(setpoint, version));
  }

  assert.deepEqual(await site.setpoints('boiler-7'), [21, 22, 23, 24, 25]);
});

test('what was desired while the bridge was dead is written once when it is back', async (t) => {
  const { iot, site, gateway } = await system(t);

  await shows(iot, 'boiler-7', 'temperature', 60);
  await gateway.kill();
  await desire(iot, 'boiler-7', 25);
  const version = await desire(iot, 'boiler-7', 26);
  await gateway.start();

  await shows(iot, 'boiler-7', 'setpoint', acknowledged(26, version));
  assert.deepEqual(await site.setpoints('boiler-7'), [26]);
});

test('a device server that was killed and started again is back by itself', async (t) => {
  const { iot, site, gateway } = await system(t);

  await shows(iot, 'boiler-7', 'temperature', 60);
  await site.kill();
  await shows(iot, 'boiler-7', 'health', (health) => health.state === 'offline' && health.error !== '');
  assert.equal((await gateway.device('boiler-7')).state, 'offline');
  assert.equal((await iot.reported(DEVICE, 'boiler-7')).temperature, 60, 'offline keeps the values');
  await site.start();
  await site.temperature('boiler-7', 61);

  await shows(iot, 'boiler-7', 'temperature', 61);
  await shows(iot, 'boiler-7', 'health', (health) => health.state === 'online' && health.error === '');
  const connection = (await gateway.status()).connections[0];
  assert.equal(connection.state, 'connected');
  assert.equal(connection.error, '');
  assert.equal(connection.reconnects, 1);
});

test('a device server that hangs up is connected again before anybody calls the device offline', async (t) => {
  const { iot, site, gateway } = await system(t);

  await shows(iot, 'boiler-7', 'temperature', 60);
  await site.server.drop();
  await until(async () => (await gateway.status()).connections[0].reconnects === 1, { what: 'a reconnect' });
  await site.temperature('boiler-7', 62);

  await shows(iot, 'boiler-7', 'temperature', 62);
  assert.doesNotMatch(gateway.program.stderr, /offline/);
});

test('a silent device is offline, its values are stale, its neighbour is not disturbed, and it comes back', async (t) => {
  const { iot, site, gateway } = await system(t, { units: TWO });

  await shows(iot, 'boiler-7', 'temperature', 60);
  await shows(iot, 'boiler-8', 'temperature', 60);
  await site.silent('boiler-7');
  await site.temperature('boiler-7', 90);
  await shows(iot, 'boiler-7', 'health', (health) => health.state === 'offline');
  const silent = await gateway.device('boiler-7');
  assert.equal(silent.state, 'offline');
  assert.match(silent.error, /no answer/);
  const sampled = (await gateway.tag('boiler-7', 'temperature')).sampled;

  // Neighbour: as many polls as fit, none lost, its changes arrive.
  const reads = await site.reads('boiler-8');
  await stays(async () => {
    const status = await gateway.status();
    const stale = status.tags.filter((tag) => tag.device === 'boiler-7');
    const fresh = status.tags.filter((tag) => tag.device === 'boiler-8');
    assert.deepEqual(stale.map((tag) => tag.quality), ['stale', 'stale', 'stale']);
    assert.deepEqual(fresh.map((tag) => tag.quality), ['good', 'good', 'good']);
    assert.equal(stale[0].value, 60);
    assert.equal(stale[0].sampled, sampled);
    return status.devices.find((device) => device.name === 'boiler-8').state === 'online';
  }, { time: 1500 });
  assert.ok(await site.reads('boiler-8') > reads + 10, 'the neighbour is polled');
  await site.temperature('boiler-8', 80);
  await shows(iot, 'boiler-8', 'temperature', 80);
  assert.equal((await gateway.device('boiler-8')).errors.timeout, 0);
  assert.equal((await iot.reported(DEVICE, 'boiler-7')).temperature, 60);
  assert.equal((await gateway.status()).connections[0].state, 'connected');

  await site.silent('boiler-7', false);
  await shows(iot, 'boiler-7', 'temperature', 90);
  await shows(iot, 'boiler-7', 'health', (health) => health.state === 'online');
  assert.equal((await gateway.tag('boiler-7', 'temperature')).quality, 'good');
});

test('a device server that stands still is offline although its TCP connection stands, and comes back', async (t) => {
  const { iot, site, gateway } = await system(t);

  await shows(iot, 'boiler-7', 'temperature', 60);
  await site.temperature('boiler-7', 63);
  await shows(iot, 'boiler-7', 'temperature', 63);
  site.server.program.signal('SIGSTOP');
  cleanup(t, () => site.server.program.signal('SIGCONT'));
  await shows(iot, 'boiler-7', 'health', (health) => health.state === 'offline');
  await until(async () => (await gateway.status()).tags.every((tag) => tag.quality === 'stale'),
    { what: 'stale values' });
  site.server.program.signal('SIGCONT');
  await site.temperature('boiler-7', 64);

  await shows(iot, 'boiler-7', 'temperature', 64);
  await shows(iot, 'boiler-7', 'health', (health) => health.state === 'online');
});

test('an order for a silent device is acknowledged 202, and written once, the newest only, when it answers', async (t) => {
  const { iot, site } = await system(t);

  await shows(iot, 'boiler-7', 'temperature', 60);
  await site.silent('boiler-7');
  await shows(iot, 'boiler-7', 'health', (health) => health.state === 'offline');
  const first = await desire(iot, 'boiler-7', 27);
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(20, first, 202, 'waiting for the device'));
  const second = await desire(iot, 'boiler-7', 28);
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(20, second, 202, 'waiting for the device'));
  assert.deepEqual(await site.setpoints('boiler-7'), []);
  await site.silent('boiler-7', false);

  await shows(iot, 'boiler-7', 'setpoint', acknowledged(28, second));
  const reads = await site.reads('boiler-7');
  await until(async () => await site.reads('boiler-7') >= reads + 10, { what: 'ten more polls' });
  assert.deepEqual(await site.setpoints('boiler-7'), [28]);
});

test('an order for an absent device server waits, and is written once when there is one', async (t) => {
  const { iot, site } = await system(t);

  await shows(iot, 'boiler-7', 'temperature', 60);
  await site.kill();
  await shows(iot, 'boiler-7', 'health', (health) => health.state === 'offline');
  const version = await desire(iot, 'boiler-7', 29);
  await shows(iot, 'boiler-7', 'setpoint', acknowledged(20, version, 202, 'waiting for the device'));
  await site.start();

  await shows(iot, 'boiler-7', 'setpoint', acknowledged(29, version));
  assert.deepEqual(await site.setpoints('boiler-7'), [29]);
});

test('the token is renewed in time, twice, and nothing is missed or complained about', async (t) => {
  const { iot, site, gateway } = await system(t, { hub: { token_lifetime: '8s' } });
  const since = [(await gateway.module('boiler-7')).since];

  while (since.length < 3) {
    await until(async () => {
      const module = await gateway.module('boiler-7');
      return module.state === 'ready' && module.since !== since.at(-1) && since.push(module.since);
    }, { timeout: 30000, what: 'the next session' });
    const version = await desire(iot, 'boiler-7', 20 + since.length);
    await shows(iot, 'boiler-7', 'setpoint', acknowledged(20 + since.length, version));
  }

  assert.deepEqual(await site.setpoints('boiler-7'), [22, 23]);
  assert.equal((await gateway.module('boiler-7')).reconnects, 0, 'a renewal is no failure');
  assert.doesNotMatch(gateway.program.stderr, / (warn|error) /);
  for (let i = 1; i < since.length; i++)
    assert.ok(Date.parse(since[i]) - Date.parse(since[i - 1]) < 8000, `before the end: ${since}`);
});

test('a ready-made token ends with its connection; another one in its place is used without a restart', async (t) => {
  const { iot, site, gateway } = await system(t);
  const file = gateway.credential('boiler-7');
  const text = fs.readFileSync(file, 'utf8');
  const { HostName, SharedAccessKey } = parts(text);
  const ready = (lifetime) => text.trim().replace(/SharedAccessKey=.*/,
    `SharedAccessSignature=${token(`${HostName}/devices/${DEVICE}/modules/boiler-7`, SharedAccessKey, { lifetime })}`);

  await gateway.stop();
  fs.writeFileSync(file, ready(5)); // too short to be renewed: the hub ends the connection
  await gateway.start();
  await gateway.ready();
  await gateway.reaches('refused');
  assert.match(gateway.program.stderr, /warn .*module boiler-7: the connection ended: /);
  assert.match((await gateway.module('boiler-7')).error, /boiler-7.*expired/);
  await site.temperature('boiler-7', 65);
  fs.writeFileSync(file, ready(600));

  await gateway.ready();
  await shows(iot, 'boiler-7', 'temperature', 65);
});
