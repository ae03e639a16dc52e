// What devices hold is what the twin says: every type, every byte order, changes, and values that are none.

import assert from 'node:assert/strict';
import test from 'node:test';

import { bridge, devices, hub, modbusClient, pymodbus, until } from './lib/index.js';
import { hubTime, median } from './lib/measure.js';

const MODULE = ['gateway-01', 'meter'];

// The mapping of a tag, where its words (or bit) lie, the words, and the value they mean. The words are
// spelled out, so that no code of the project takes part in making them.
const VECTORS = [
  // one bit
  ['coil_on', { table: 'coil', address: 3 }, 'coil', 3, [1], true],
  ['coil_reference', { address: '00011' }, 'coil', 10, [0], false],
  ['discrete_reference', { address: '100006' }, 'discrete', 5, [1], true],
  ['bit_4', { table: 'holding', address: 7, bit: 4 }, 'holding', 7, [0x0010], true],
  ['bit_3', { table: 'holding', address: 7, bit: 3 }, 'holding', 7, [0x0010], false],
  ['bit_15', { table: 'input', address: 7, bit: 15 }, 'input', 7, [0x8000], true],
  // 16 bits
  ['int16_lowest', { table: 'input', address: 0, type: 'int16' }, 'input', 0, [0x8000], -32768],
  ['int16_reference', { address: '40101', type: 'int16', scale: 0.1 }, 'holding', 100, [0xffce], -5],
  ['int16_hexadecimal', { table: 'holding', address: '0x00C8', type: 'int16', scale: 0.1, offset: -40 },
    'holding', 200, [0x0263], 21.1],
  ['uint16_highest', { table: 'input', address: 1, type: 'uint16' }, 'input', 1, [0xffff], 65535],
  ['uint16_reference', { address: '300011', type: 'uint16', scale: 0.01 }, 'input', 10, [0x3039], 123.45],
  ['uint16_last', { table: 'holding', address: 65535, type: 'uint16', offset: -100 },
    'holding', 65535, [0x0001], -99],
  // 32 bits
  ['int32_lowest', { table: 'holding', address: 20, type: 'int32' }, 'holding', 20, [0x8000, 0], -2147483648],
  ['int32_cdab', { table: 'holding', address: 22, type: 'int32', byte_order: 'CDAB' },
    'holding', 22, [0xfffe, 0xffff], -2],
  ['int32_scaled', { table: 'holding', address: 24, type: 'int32', scale: 0.1 },
    'holding', 24, [0xffff, 0xcfc7], -1234.5],
  ['uint32_highest', { table: 'holding', address: 26, type: 'uint32' },
    'holding', 26, [0xffff, 0xffff], 4294967295],
  ['uint32_badc', { table: 'holding', address: 28, type: 'uint32', byte_order: 'BADC' },
    'holding', 28, [0x3412, 0x7856], 305419896],
  ['uint32_scaled', { table: 'holding', address: 30, type: 'uint32', scale: 0.001 },
    'holding', 30, [0xffff, 0xffff], 4294967.295],
  // floating point
  ['float_abcd', { table: 'input', address: 20, type: 'float32' }, 'input', 20, [0x41a0, 0xcccd], 20.1],
  ['float_cdab', { table: 'input', address: 22, type: 'float32', byte_order: 'CDAB' },
    'input', 22, [0x9333, 0xc388], -273.15],
  ['float_badc', { table: 'input', address: 24, type: 'float32', byte_order: 'BADC' },
    'input', 24, [0x4940, 0xdb0f], 3.1415927],
  ['float_dcba', { table: 'input', address: 26, type: 'float32', byte_order: 'DCBA' },
    'input', 26, [0xffe6, 0xdb2e], 1e-10],
  ['float_highest', { table: 'input', address: 28, type: 'float32' }, 'input', 28, [0x7f7f, 0xffff], 3.4028235e38],
  ['float_smallest', { table: 'input', address: 30, type: 'float32' }, 'input', 30, [0x0000, 0x0001], 1e-45],
  ['float_scaled', { table: 'input', address: 32, type: 'float32', scale: 10, decimals: 1 },
    'input', 32, [0x41a0, 0xcccd], 201],
];

const values = Object.fromEntries(VECTORS.map(([name, , , , , value]) => [name, value]));

function mapping(tags, { poll_interval = '200ms', unit_id = 1 } = {}) {
  return {
    connections: { plant: { transport: 'tcp', response_timeout: '2s' } },
    devices: { meter: { connection: 'plant', unit_id, poll_interval, tags } },
  };
}

function allTags() {
  return Object.fromEntries(VECTORS.map(([name, tag]) => [name, tag]));
}

/** A hub, a pymodbus server that `fill` has filled, and a bridge between them that is ready. */
async function between(t, tags, fill, options) {
  const [h, plc] = await Promise.all([hub(t), pymodbus(t)]);
  await fill(plc);
  const b = await bridge(t, { hub: h, ports: { plant: plc.port }, mapping: mapping(tags, options) });
  await b.ready();
  const reported = async () => {
    const { health, ...tagged } = await h.reported(...MODULE);
    return { health, values: tagged };
  };
  return { h, plc, b, reported };
}

test('values of every type are in the twin exactly as pymodbus holds them', async (t) => {
  const { b, reported } = await between(t, allTags(), async (plc) => {
    for (const [, , table, address, words] of VECTORS) await plc.set(1, table, address, words);
  });

  const { health, values: twin } = await until(async () => {
    const now = await reported();
    return Object.keys(now.values).length === VECTORS.length && now;
  }, { what: 'all values in the twin' });
  assert.deepEqual(twin, values);
  assert.deepEqual([health.state, health.error, health.bad], ['online', '', {}]);
  assert.match(health.time, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

  const status = await b.status();
  assert.deepEqual(Object.fromEntries(status.tags.map((tag) => [tag.tag, tag.value])), values);
  const hex = (words) => words.map((word) => word.toString(16).toUpperCase().padStart(4, '0')).join(' ');
  for (const [name, , table, , words] of VECTORS) {
    if (table === 'holding' || table === 'input')
      assert.equal(status.tags.find((tag) => tag.tag === name).raw, hex(words), name);
  }
});

test('values of every type are in the twin exactly as libmodbus holds them', async (t) => {
  // All in holding registers: what a client of the test's own writes there, the bridge must read.
  const words = VECTORS.filter(([, , table]) => table === 'holding' || table === 'input');
  const place = (index) => 10 * index;
  const tags = Object.fromEntries(words.map(([name, tag], index) =>
    [name, { ...tag, table: 'holding', address: place(index) }]));
  const both = { ...tags, coil: { table: 'coil', address: 1, access: 'rw' } };
  const plan = mapping(both, { unit_id: 5 });
  const [h, plant] = await Promise.all([hub(t), devices(t, { hub: { host_name: 'localhost', device_id: 'gateway-01' },
    ...structuredClone({ ...plan, connections: { plant: { ...plan.connections.plant, host: '127.0.0.1' } } }) })]);
  const client = await modbusClient(t, plant.ports.plant);
  for (const [index, [, , , , list]] of words.entries()) {
    const at = place(index);
    const bytes = list.flatMap((word) => [word >> 8, word & 0xff]);
    assert.deepEqual((await client.ask(5, [16, at >> 8, at & 0xff, 0, list.length, bytes.length, ...bytes])),
      [16, at >> 8, at & 0xff, 0, list.length]);
  }
  assert.deepEqual(await client.ask(5, [5, 0, 1, 0xff, 0]), [5, 0, 1, 0xff, 0]);
  const b = await bridge(t, { hub: h, devices: plant, mapping: plan });
  await b.ready();

  const twin = await until(async () => {
    const { health, ...now } = await h.reported(...MODULE);
    return Object.keys(now).length === words.length + 1 && now;
  }, { what: 'all values in the twin' });

  const { coil, ...rest } = twin;
  assert.deepEqual(coil, { value: true, ac: 203, av: 0, ad: "device's own value" });
  assert.deepEqual(rest, Object.fromEntries(words.map(([name, , , , , value]) => [name, value])));
});

test('a register that changes is in the twin within a poll interval and a moment', async (t) => {
  const INTERVAL = 200;
  const { h, plc } = await between(t, { count: { table: 'holding', address: 0, type: 'uint16' } },
    (server) => server.set(1, 'holding', 0, 0), { poll_interval: `${INTERVAL}ms` });
  const took = [];

  for (let value = 1; value <= 25; value++) {
    const changed = Date.now();
    await plc.set(1, 'holding', 0, value);
    const stamp = await until(async () => {
      const { reported } = (await h.twin(...MODULE)).properties;
      return reported.count === value && hubTime(reported.$metadata.count);
    }, { what: `count ${value} in the twin`, every: 5 + value % 7 });
    took.push(stamp - changed);
  }

  // A test must hold on a busy machine too, so it asks for less than what it measures and says.
  t.diagnostic(`register to twin at a poll interval of ${INTERVAL} ms: median ${median(took)} ms, ` +
    `longest ${Math.max(...took)} ms (without load: within ${INTERVAL + 100} ms)`);
  assert.ok(Math.max(...took) < INTERVAL + 2000, `${took}`);
});

test('a value that is none is taken out of the twin, named with its reason, and comes back', async (t) => {
  const tags = {
    pressure: { table: 'input', address: 0, type: 'float32' },
    level: { table: 'input', address: 2, type: 'float32' },
    limit: { table: 'holding', address: 0, type: 'float32', access: 'rw' },
  };
  const { plc, b, reported } = await between(t, tags, async (server) => {
    await server.set(1, 'input', 0, [0x41a0, 0xcccd, 0x4120, 0x0000]);
    await server.set(1, 'holding', 0, [0x3f80, 0x0000]);
  });
  const twin = (check, what) => until(async () => {
    const now = await reported();
    return check(now) && now;
  }, { what });
  await twin((now) => now.values.pressure === 20.1 && now.values.limit?.value === 1, 'the first values');

  await plc.set(1, 'input', 0, [0x7fc0, 0x0000]); // NaN
  await plc.set(1, 'holding', 0, [0xff80, 0x0000]); // -infinity
  const bad = await twin((now) => now.health.bad.pressure && now.health.bad.limit, 'both in health.bad');
  assert.deepEqual(bad.health.bad, { pressure: 'not a number', limit: 'infinite' });
  assert.deepEqual(bad.values, { level: 10, limit: { ac: 203, av: 0, ad: "device's own value" } });
  assert.equal(bad.health.state, 'degraded');
  assert.equal((await b.tag('meter', 'pressure')).quality, 'bad');

  await plc.set(1, 'input', 0, [0x41a4, 0x0000]);
  await plc.set(1, 'holding', 0, [0x4000, 0x0000]);
  const good = await twin((now) => Object.keys(now.health.bad).length === 0 && now.health.state === 'online',
    'an empty health.bad');
  assert.deepEqual(good.values,
    { pressure: 20.5, level: 10, limit: { value: 2, ac: 203, av: 0, ad: "device's own value" } });
});

test('addresses that the device refuses cost their own tags only', async (t) => {
  const tags = Object.fromEntries(Array.from({ length: 12 }, (_, i) =>
    [`r${i}`, { table: 'holding', address: i, type: 'uint16' }]));
  tags.coil = { table: 'coil', address: 0 };
  const missing = [3, 4, 9];
  const { plc, b, reported } = await between(t, tags, async (server) => {
    for (let i = 0; i < 12; i++) if (!missing.includes(i)) await server.set(1, 'holding', i, 100 + i);
    await server.set(1, 'coil', 0, 1);
  }, { poll_interval: '50ms' });
  const expected = (gone) => ({
    coil: true,
    ...Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`r${i}`, 100 + i])
      .filter(([name]) => !gone.includes(name))),
  });

  const guilty = await until(async () => {
    const now = await reported();
    return Object.keys(now.values).length === 10 && Object.keys(now.health.bad).length === 3 && now;
  }, { what: 'ten values and three bad ones' });
  assert.deepEqual(guilty.values, expected(['r3', 'r4', 'r9']));
  assert.deepEqual(Object.keys(guilty.health.bad).sort(), ['r3', 'r4', 'r9']);
  for (const reason of Object.values(guilty.health.bad)) assert.match(reason, /exception 2/);

  // It stays so, and fresh: the good ones follow the device while the bad ones stay bad.
  await plc.set(1, 'holding', 8, 1008);
  await plc.set(1, 'holding', 10, 1010);
  await until(async () => {
    const { values: now } = await reported();
    return now.r8 === 1008 && now.r10 === 1010;
  }, { what: 'the neighbours of a refused address, changed' });
  const { health: degraded } = await reported();
  assert.deepEqual([degraded.state, degraded.error], ['degraded', '3 tags are bad']);
  assert.deepEqual(Object.keys(degraded.bad).sort(), ['r3', 'r4', 'r9']);
  assert.deepEqual([(await b.device('meter')).state, (await b.device('meter')).error], ['degraded', '3 tags are bad']);

  await plc.set(1, 'holding', 8, 108);
  await plc.set(1, 'holding', 10, 110);
  await plc.set(1, 'holding', 3, [103, 104]);
  await plc.set(1, 'holding', 9, 109);
  await until(async () => {
    const now = await reported();
    return Object.keys(now.values).length === 13 && Object.keys(now.health.bad).length === 0;
  }, { what: 'addresses that exist now, in the twin' });
  assert.deepEqual((await reported()).values, expected([]));
  // What failed is held against the device until 50 requests went well; the twin says so.
  const { health } = await until(async () => {
    const now = await reported();
    return now.health.state === 'online' && now;
  }, { what: 'a device that is online again' });
  assert.deepEqual([health.error, health.bad], ['', {}]);
});
