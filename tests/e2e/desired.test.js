// What is desired in the twin is in the registers, at once and once, and every order gets an honest answer.
// The registers are looked at through the device's own control connection, never through the bridge.

import assert from 'node:assert/strict';
import test from 'node:test';

import { bridge, hub, pymodbus, run, until } from './lib/index.js';
import { hubTime, median } from './lib/measure.js';

const MODULE = ['gateway-01', 'boiler'];
const OWN = { ac: 203, av: 0, ad: "device's own value" };

const TAGS = {
  temperature: { table: 'input', address: 0, type: 'float32', byte_order: 'CDAB' },
  setpoint: { table: 'holding', address: 100, type: 'int16', scale: 0.1, access: 'rw', min: 5, max: 35 },
  level: { table: 'holding', address: 110, type: 'float32', byte_order: 'CDAB', access: 'rw' },
  total: { table: 'holding', address: 120, type: 'int32', access: 'rw' },
  mode: { table: 'holding', address: 130, type: 'uint16', access: 'rw', min: 0, max: 10, step: 2 },
  pump: { table: 'coil', address: 3, access: 'rw' },
  command: { table: 'holding', address: 140, type: 'uint16', access: 'w' },
  start: { table: 'holding', address: 150, type: 'uint16', access: 'rw', write_once: true },
};

async function fill(plc) {
  await plc.set(1, 'input', 0, [0x0000, 0x41a4]);
  await plc.set(1, 'holding', 100, 200);
  await plc.set(1, 'holding', 110, [0x0000, 0x3f80]);
  await plc.set(1, 'holding', 120, [0, 7]);
  for (const [address, value] of [[130, 4], [140, 0], [150, 0]]) await plc.set(1, 'holding', address, value);
  await plc.set(1, 'coil', 3, 0);
}

/** A hub, a pymodbus device and a bridge between them whose twin holds the device's values. */
async function between(t, { tags = TAGS, poll_interval = '200ms', response_timeout = '2s' } = {}) {
  const [h, plc] = await Promise.all([hub(t), pymodbus(t)]);
  await fill(plc);
  const b = await bridge(t, { hub: h, ports: { plant: plc.port }, mapping: {
    connections: { plant: { transport: 'tcp', response_timeout } },
    devices: { boiler: { connection: 'plant', unit_id: 1, poll_interval, tags } },
  } });
  await b.ready();
  const reported = async () => (await h.reported(...MODULE));
  await until(async () => {
    const now = await reported();
    return Object.entries(tags).every(([name, tag]) =>
      tag.access === 'w' || (tag.access === 'rw' ? now[name]?.value : now[name]) !== undefined);
  }, { what: 'the values of the device in the twin' });

  /** Patches the desired properties; gives the version they have then. */
  const desire = async (patch) => (await h.desire(...MODULE, patch)).properties.desired.$version;
  /** Waits until a tag's acknowledgement has this version and is final (or has this code). */
  const answered = (tag, av, ac) => until(async () => {
    const ack = (await reported())[tag];
    return ack?.av === av && (ac === undefined ? ack.ac !== 202 : ack.ac === ac) && ack;
  }, { what: `an answer for ${tag} with version ${av}` });
  return { h, plc, b, reported, desire, answered };
}

test('a set-point of twinctl is in the register and acknowledged with its version', async (t) => {
  const { h, plc, reported, answered } = await between(t);
  assert.deepEqual((await reported()).setpoint, { value: 20, ...OWN });

  const update = await run(t, 'twinctl', ['twin', 'update', MODULE.join('/'), 'setpoint=21.5', ...h.signIn('service')]);
  assert.equal(update.code, 0, update.stderr);
  const { $version } = (await h.twin(...MODULE)).properties.desired;

  assert.deepEqual(await answered('setpoint', $version), { value: 21.5, ac: 200, av: $version, ad: '' });
  assert.deepEqual(await plc.get(1, 'holding', 100), [215]);
  assert.deepEqual(await plc.writes(), [{ unit: 1, function: 6, address: 100, values: [215] }]);
  const after = await reported();
  assert.deepEqual([after.temperature, after.level, after.pump],
    [20.5, { value: 1, ...OWN }, { value: false, ...OWN }], 'nothing else has moved');
});

test('a desired change is in the register in a moment, and its answer is in the twin', async (t) => {
  const { h, plc, desire, answered } = await between(t, { poll_interval: '1s' });
  const written = [];
  const acknowledged = [];

  for (let i = 0; i < 25; i++) {
    const raw = i % 2 === 0 ? 61 + i : 349 - i;
    const value = raw / 10;
    const version = await desire({ setpoint: value });
    assert.deepEqual(await answered('setpoint', version), { value, ac: 200, av: version, ad: '' });
    const { desired, reported } = (await h.twin(...MODULE)).properties;
    const ordered = hubTime(desired.$metadata.setpoint);
    const times = await plc.writeTimes();
    assert.equal(times.length, i + 1, 'one write each');
    assert.deepEqual(await plc.get(1, 'holding', 100), [raw]);
    written.push(times[i] - ordered);
    acknowledged.push(hubTime(reported.$metadata.setpoint) - ordered);
  }

  // A test must hold on a busy machine too, so it asks for less than what it measures and says.
  t.diagnostic(`patch to register: median ${median(written)} ms, longest ${Math.max(...written)} ms ` +
    '(without load: within 100 ms)');
  t.diagnostic(`patch to acknowledgement: median ${median(acknowledged)} ms, longest ${Math.max(...acknowledged)} ms`);
  assert.ok(Math.max(...written) < 2000, `${written}`);
});

test('what may not be written is refused and touches no register', async (t) => {
  const { plc, desire, answered } = await between(t);
  const read = { value: 20.5 };
  const cases = [
    ['setpoint', 35.1, 403, 'above the maximum', { value: 20 }],
    ['setpoint', 4.9, 403, 'below the minimum', { value: 20 }],
    ['setpoint', -1e300, 403, 'below the minimum', { value: 20 }],
    ['mode', 3, 403, 'not on a step', { value: 4 }],
    ['total', 2147483648, 403, 'more than the register can hold', { value: 7 }],
    ['total', -2147483649, 403, 'more than the register can hold', { value: 7 }],
    ['level', 3.5e38, 403, 'more than the register can hold', { value: 1 }],
    ['command', 65536, 403, 'more than the register can hold', {}],
    ['temperature', 19, 403, 'read-only', read],
    ['temperature', 'warm', 403, 'read-only', read],
    ['setpoint', '21.5', 400, 'wants a number', { value: 20 }],
    ['setpoint', true, 400, 'wants a number', { value: 20 }],
    ['setpoint', { value: 21.5 }, 400, 'wants a number', { value: 20 }],
    ['total', 1.5, 400, 'wants a whole number', { value: 7 }],
    ['pump', 1, 400, 'wants true or false', { value: false }],
    ['pump', 'true', 400, 'wants true or false', { value: false }],
  ];
  for (const [tag, value, ac, ad, rest] of cases) {
    const version = await desire({ [tag]: null });
    const av = await desire({ [tag]: value });
    assert.ok(av > version);
    assert.deepEqual(await answered(tag, av), { ...rest, ac, av, ad }, `${tag}: ${JSON.stringify(value)}`);
  }

  const av = await desire({ setpiont: 21.5, nested: { a: [1] } });
  const typo = await answered('setpiont', av);
  assert.deepEqual([typo.ac, typo.av, typo.ad], [404, av, 'no such tag']);
  assert.equal((await answered('nested', av)).ac, 404);

  // Orders of a connection are served in turn: had one of these been written, it would stand before this.
  const last = await desire({ setpoint: 22 });
  assert.equal((await answered('setpoint', last)).ac, 200);
  assert.deepEqual(await plc.writes(), [{ unit: 1, function: 6, address: 100, values: [220] }]);
  assert.deepEqual([await plc.get(1, 'holding', 110, 2), await plc.get(1, 'holding', 120, 2),
    await plc.get(1, 'holding', 130), await plc.get(1, 'holding', 140), await plc.get(1, 'coil', 3)],
  [[0x0000, 0x3f80], [0, 7], [4], [0], [0]]);
});

test('a refusal in a patch does not keep its neighbours from being written', async (t) => {
  const { plc, desire, answered } = await between(t);

  const av = await desire({ setpoint: 99, total: -5, temperature: 1, pump: true, nothing: 1, level: 'x' });

  assert.deepEqual(await answered('total', av), { value: -5, ac: 200, av, ad: '' });
  assert.deepEqual(await answered('pump', av), { value: true, ac: 200, av, ad: '' });
  const codes = await Promise.all(['setpoint', 'temperature', 'nothing', 'level'].map(
    async (tag) => (await answered(tag, av)).ac));
  assert.deepEqual(codes, [403, 403, 404, 400]);
  assert.deepEqual((await plc.writes()).map(({ address }) => address).sort((a, b) => a - b), [3, 120]);
});

test('writes use the function of their table and width, in the byte order of the tag', async (t) => {
  const { plc, desire, answered } = await between(t);
  const cases = [
    ['pump', true, { function: 5, address: 3, values: [1] }],
    ['pump', false, { function: 5, address: 3, values: [0] }],
    ['mode', 10, { function: 6, address: 130, values: [10] }],
    ['setpoint', 5, { function: 6, address: 100, values: [50] }],
    ['total', -2, { function: 16, address: 120, values: [0xffff, 0xfffe] }],
    ['total', 2147483647, { function: 16, address: 120, values: [0x7fff, 0xffff] }],
    ['total', -2147483648, { function: 16, address: 120, values: [0x8000, 0x0000] }],
    ['level', -273.15, { function: 16, address: 110, values: [0x9333, 0xc388] }],
    ['level', 3.4028235e38, { function: 16, address: 110, values: [0xffff, 0x7f7f] }],
    ['level', 0, { function: 16, address: 110, values: [0, 0] }],
  ];

  for (const [tag, value] of cases) {
    const av = await desire({ [tag]: value });
    assert.deepEqual(await answered(tag, av), { value, ac: 200, av, ad: '' });
  }

  assert.deepEqual(await plc.writes(), cases.map(([, , write]) => ({ unit: 1, ...write })));
});

test('a value between two raw steps is written as the nearest, and the twin shows which', async (t) => {
  const { plc, desire, answered } = await between(t);

  const scaled = await desire({ setpoint: 21.46 });
  assert.deepEqual(await answered('setpoint', scaled), { value: 21.5, ac: 200, av: scaled, ad: '' });
  assert.deepEqual(await plc.get(1, 'holding', 100), [215]);

  const single = await desire({ level: 20.123456789 });
  assert.deepEqual(await answered('level', single), { value: 20.123457, ac: 200, av: single, ad: '' });
  assert.deepEqual(await plc.get(1, 'holding', 110, 2), [0xfcd7, 0x41a0]);
});

test('null takes an order back: nothing is written, the device keeps its own value', async (t) => {
  const { plc, reported, desire, answered } = await between(t);
  const unknown = { x: 1, y: 2, z: { deep: 3 } };
  const first = await desire({ setpoint: 25, temperature: 9, command: 4, ...unknown });
  for (const tag of ['setpoint', 'command', 'x', 'y', 'z']) await answered(tag, first);

  await desire({ setpoint: null, temperature: null, command: null, pump: null, x: null, y: null, z: null });

  assert.deepEqual(await answered('setpoint', 0), { value: 25, ...OWN });
  const after = await until(async () => {
    const now = await reported();
    return now.temperature === 20.5 && now.command.ac === 203 && !Object.keys(unknown).some((name) => name in now) && now;
  }, { what: 'temperature as it was, and the unknown names gone' });
  assert.deepEqual(after.pump, { value: false, ...OWN });
  assert.deepEqual(after.command, OWN, 'what it holds, nobody knows any more');
  await plc.set(1, 'holding', 100, 180);
  await until(async () => (await reported()).setpoint.value === 18, { what: 'the device\'s next value' });
  assert.deepEqual((await reported()).setpoint, { value: 18, ...OWN });
  assert.deepEqual((await plc.writes()).map(({ address }) => address).sort(), [100, 140]);
});

test('a desired "health" is counted as refused and leaves the health in the twin alone', async (t) => {
  const { reported, desire, answered } = await between(t);
  const { health: before } = await reported();
  const { time, ...steady } = before;

  await desire({ health: { state: 'perfect', bad: null }, setpoint: 40 });
  const counted = await until(async () => {
    const { health } = await reported();
    return health.refused === 1 && health;
  }, { what: 'the refusal counted' });
  assert.deepEqual(counted, { ...before, refused: 1, time: counted.time });

  const av = await desire({ health: null, setpoint: 20 });
  await answered('setpoint', av);
  const after = await until(async () => {
    const { health } = await reported();
    return !('refused' in health) && health;
  }, { what: 'the count gone' });
  assert.deepEqual(after, { ...steady, time: after.time });
});

test('the same value desired again is a new order with a new version', async (t) => {
  const { plc, desire, answered } = await between(t);

  const first = await desire({ setpoint: 21 });
  await answered('setpoint', first);
  const other = await desire({ total: 1 });
  await answered('total', other);
  const second = await desire({ setpoint: 21 });

  assert.ok(second > other && other > first);
  assert.deepEqual(await answered('setpoint', second), { value: 21, ac: 200, av: second, ad: '' });
  assert.deepEqual((await plc.writes()).map(({ address, values }) => [address, values[0]]),
    [[100, 210], [120, 0], [100, 210]]);
});

test('a value changed at the device later is shown as such, and not written over', async (t) => {
  const { plc, reported, desire, answered } = await between(t);
  const av = await desire({ setpoint: 21 });
  await answered('setpoint', av);

  await plc.set(1, 'holding', 100, 300);
  assert.deepEqual(await answered('setpoint', av, 203), { value: 30, ac: 203, av, ad: 'changed at the device' });

  await plc.set(1, 'holding', 100, 310);
  await until(async () => (await reported()).setpoint.value === 31, { what: 'the second change' });
  assert.deepEqual((await reported()).setpoint, { value: 31, ac: 203, av, ad: 'changed at the device' });

  const again = await desire({ setpoint: 21 });
  assert.deepEqual(await answered('setpoint', again), { value: 21, ac: 200, av: again, ad: '' });
  assert.deepEqual((await plc.writes()).map(({ values }) => values[0]), [210, 210]);
});

test('of orders that come in a heap, the newest stands', async (t) => {
  const { plc, h, answered } = await between(t);

  // Without waiting for one another's answers; the hub puts them in an order and numbers them.
  const twins = await Promise.all(Array.from({ length: 20 }, (_, i) => h.desire(...MODULE, { setpoint: 10 + i })));
  const newest = twins.map((twin) => twin.properties.desired).sort((a, b) => b.$version - a.$version)[0];

  assert.deepEqual(await answered('setpoint', newest.$version),
    { value: newest.setpoint, ac: 200, av: newest.$version, ad: '' });
  const writes = await plc.writes();
  assert.deepEqual(writes.at(-1).values, [newest.setpoint * 10]);
  assert.deepEqual(await plc.get(1, 'holding', 100), [newest.setpoint * 10]);
  assert.ok(writes.length <= 20, `${writes.length} writes`);
});

test('a tag that can only be written is acknowledged with what was written, and never read', async (t) => {
  const { plc, reported, desire, answered } = await between(t);
  assert.deepEqual((await reported()).command, { ...OWN });

  const av = await desire({ command: 7 });
  assert.deepEqual(await answered('command', av), { value: 7, ac: 200, av, ad: 'not readable' });

  assert.deepEqual(await plc.get(1, 'holding', 140), [7]);
  // pymodbus reads a register back itself to answer function 6: that is the one look at it.
  const looks = (await plc.reads()).filter(({ function: code, address, count }) =>
    code <= 4 && address <= 140 && address + count > 140);
  assert.deepEqual(looks, []);
});

test('a tag that must be written once is: not again by a restart, again by a new order', async (t) => {
  const { plc, b, reported, desire, answered } = await between(t);
  const pulses = async () => (await plc.writes()).filter(({ address }) => address === 150).length;

  const first = await desire({ start: 1 });
  assert.deepEqual(await answered('start', first), { value: 1, ac: 200, av: first, ad: '' });
  assert.equal(await pulses(), 1);

  await plc.set(1, 'holding', 150, 0); // the device takes its pulse back
  assert.deepEqual(await answered('start', first, 203), { value: 0, ac: 203, av: first, ad: 'changed at the device' });
  await b.stop();
  await b.start();
  await b.ready();
  await until(async () => (await reported()).health.state === 'online', { what: 'the boiler online again' });
  const fence = await desire({ total: 3 });
  assert.equal((await answered('total', fence)).ac, 200);
  assert.equal(await pulses(), 1);
  assert.deepEqual((await reported()).start, { value: 0, ac: 203, av: first, ad: 'changed at the device' });

  const second = await desire({ start: 1 });
  assert.deepEqual(await answered('start', second), { value: 1, ac: 200, av: second, ad: '' });
  assert.equal(await pulses(), 2);
});

test('an order that the device does not carry out is not reported as done', async (t) => {
  const { plc, desire, answered } = await between(t, {
    tags: { ...TAGS, absent: { table: 'holding', address: 900, type: 'uint16', access: 'w' } },
  });

  const refused = await desire({ absent: 1 });
  assert.deepEqual(await answered('absent', refused),
    { ac: 502, av: refused, ad: 'illegal data address (exception 2)' });

  await plc.stuck(1, 'holding', 121); // the second word of two
  const kept = await desire({ total: 131072 + 30 });
  assert.deepEqual(await answered('total', kept),
    { value: 131072 + 7, ac: 500, av: kept, ad: 'reads back as 131079' });

  // pymodbus names in its answer to function 6 what the register holds then, as devices do that clamp a value.
  await plc.stuck(1, 'holding', 100);
  await plc.stuck(1, 'holding', 140);
  const before = (await plc.writes()).length;
  const clamped = await desire({ setpoint: 30, command: 3 });
  assert.deepEqual(await answered('setpoint', clamped), { value: 20, ac: 500, av: clamped, ad: 'reads back as 20' });
  assert.deepEqual(await answered('command', clamped),
    { ac: 500, av: clamped, ad: 'the device answered with another value' });
  assert.equal((await plc.writes()).length - before, 2, 'asked once each');
});

test('an order for a silent device waits, and the newest is written when it answers', async (t) => {
  const { plc, reported, desire, answered } = await between(t, { response_timeout: '200ms' });
  await plc.silent(1, true);
  await until(async () => (await reported()).health.state === 'offline', { what: 'the boiler offline' });

  const older = await desire({ setpoint: 11 });
  assert.deepEqual(await answered('setpoint', older, 202),
    { value: 20, ac: 202, av: older, ad: 'waiting for the device' });
  const newer = await desire({ setpoint: 12 });
  assert.deepEqual(await answered('setpoint', newer, 202),
    { value: 20, ac: 202, av: newer, ad: 'waiting for the device' });
  assert.deepEqual(await plc.writes(), []);

  await plc.silent(1, false);
  assert.deepEqual(await answered('setpoint', newer), { value: 12, ac: 200, av: newer, ad: '' });
  assert.deepEqual((await plc.writes()).map(({ values }) => values), [[120]]);
});
