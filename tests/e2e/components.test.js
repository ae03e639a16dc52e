// A module of several devices: each is a component of the twin, with its values, its answers and its health.

import assert from 'node:assert/strict';
import test from 'node:test';

import { bridge, devices, hub, until } from './lib/index.js';

const OWN = { ac: 203, av: 0, ad: "device's own value" };

const MAPPING = {
  connections: { plant: { transport: 'tcp', response_timeout: '300ms' } },
  templates: {
    boiler: {
      poll_interval: '200ms',
      tags: {
        temperature: { table: 'input', address: 0, type: 'float32', byte_order: 'CDAB' },
        setpoint: { table: 'holding', address: 100, type: 'int16', scale: 0.1, access: 'rw', min: 5, max: 35 },
        pump: { table: 'coil', address: 3, access: 'rw' },
      },
    },
  },
  devices: {
    'boiler-7': { connection: 'plant', unit_id: 7, template: 'boiler' },
    'boiler-8': { connection: 'plant', unit_id: 8, template: 'boiler', tags: { setpoint: { max: 30 }, pump: null } },
    'boiler-9': { connection: 'plant', unit_id: 9, template: 'boiler' },
  },
  modules: { heating: { devices: ['boiler-7', 'boiler-8'] } },
};

/** A hub, simulated boilers with known values, and a bridge whose twins hold them. */
async function between(t, modules = MAPPING.modules) {
  const mapping = { ...structuredClone(MAPPING), modules };
  const simulated = structuredClone({ hub: { host_name: 'localhost', device_id: 'gateway-01' }, ...mapping });
  simulated.connections.plant.host = '127.0.0.1';
  const [h, plant] = await Promise.all([hub(t), devices(t, simulated)]);
  for (const unit of [7, 8, 9]) {
    await plant.set(`boiler-${unit}.temperature`, 60.5 + unit);
    await plant.set(`boiler-${unit}.setpoint`, 10 + unit);
  }
  for (const unit of [7, 9]) await plant.set(`boiler-${unit}.pump`, unit === 7);
  const b = await bridge(t, { hub: h, devices: plant, mapping });
  await b.ready();
  const module = (name) => ({
    reported: () => h.reported('gateway-01', name),
    desire: async (patch) => (await h.desire('gateway-01', name, patch)).properties.desired.$version,
    /** Waits until `check` of the reported properties is truthy; gives them. */
    reports: (check, what) => until(async () => {
      const now = await h.reported('gateway-01', name);
      return check(now) && now;
    }, { what }),
  });
  return { h, plant, b, module };
}

/** A component without its health, whose times differ from run to run. */
function tagsOf({ health, ...rest }) {
  return rest;
}

const complete = (twin) => twin['boiler-7']?.temperature === 67.5 && twin['boiler-7'].pump?.value !== undefined &&
  twin['boiler-8']?.temperature === 68.5 && twin['boiler-8'].setpoint?.value !== undefined &&
  twin['boiler-7'].setpoint?.value !== undefined;

test('each device of a module is a component with its own values and health', async (t) => {
  const { module } = await between(t);

  const twin = await module('heating').reports(complete, 'both boilers in the twin');
  assert.deepEqual(Object.keys(twin).sort(), ['boiler-7', 'boiler-8']);
  assert.deepEqual(tagsOf(twin['boiler-7']), { __t: 'c', temperature: 67.5,
    setpoint: { value: 17, ...OWN }, pump: { value: true, ...OWN } });
  assert.deepEqual(tagsOf(twin['boiler-8']), { __t: 'c', temperature: 68.5, setpoint: { value: 18, ...OWN } });
  for (const name of ['boiler-7', 'boiler-8']) {
    const { state, error, bad } = twin[name].health;
    assert.deepEqual({ state, error, bad }, { state: 'online', error: '', bad: {} });
  }

  const alone = await module('boiler-9').reports((now) => now.temperature === 69.5 && now.pump?.value === false &&
    now.setpoint?.value === 19, 'boiler-9, flat in a module of its own');
  assert.deepEqual(tagsOf(alone), { temperature: 69.5, setpoint: { value: 19, ...OWN }, pump: { value: false, ...OWN } });
});

test('orders and their answers stand in the component; what is no device or no tag is 404', async (t) => {
  const { plant, module } = await between(t);
  const heating = module('heating');
  await heating.reports(complete, 'both boilers in the twin');

  const av = await heating.desire({
    'boiler-7': { __t: 'c', setpoint: 21.5, pump: false },
    'boiler-8': { __t: 'c', setpoint: 31, temperature: 1, pump: true },
    'boiler-9': { setpoint: 20 },
    'boiler-99': { setpoint: 20 },
    setpoint: 20,
  });

  const twin = await heating.reports((now) => now['boiler-7'].setpoint.ac === 200 && now['boiler-7'].pump.ac === 200 &&
    now['boiler-8'].setpoint.ac === 403 && now['boiler-8'].pump && now.setpoint && now['boiler-99'] && now['boiler-9'],
  'all answers');
  assert.deepEqual(tagsOf(twin['boiler-7']), { __t: 'c', temperature: 67.5,
    setpoint: { value: 21.5, ac: 200, av, ad: '' }, pump: { value: false, ac: 200, av, ad: '' } });
  assert.deepEqual(tagsOf(twin['boiler-8']), { __t: 'c',
    temperature: { value: 68.5, ac: 403, av, ad: 'read-only' },
    setpoint: { value: 18, ac: 403, av, ad: 'above the maximum' },
    pump: { ac: 404, av, ad: 'no such tag' } });
  for (const name of ['boiler-9', 'boiler-99', 'setpoint'])
    assert.deepEqual(twin[name], { ac: 404, av, ad: 'no such device' }, name);
  assert.deepEqual(await Promise.all(['boiler-7.setpoint', 'boiler-7.pump', 'boiler-8.setpoint', 'boiler-9.setpoint']
    .map((tag) => plant.get(tag))), [21.5, false, 18, 19]);
});

test('a component that is taken back keeps the device\'s value, and the refusals go', async (t) => {
  const { plant, module } = await between(t);
  const heating = module('heating');
  await heating.reports(complete, 'both boilers in the twin');
  await heating.desire({ 'boiler-7': { setpoint: 25, nothing: 1 }, 'boiler-99': { setpoint: 1 } });
  await heating.reports((now) => now['boiler-7'].setpoint.ac === 200 && now['boiler-7'].nothing && now['boiler-99'],
    'the answers');

  await heating.desire({ 'boiler-7': null, 'boiler-99': null });

  const twin = await heating.reports((now) => now['boiler-7'].setpoint.ac === 203 && !now['boiler-7'].nothing &&
    !now['boiler-99'], 'the device\'s own value, without refusals');
  assert.deepEqual(twin['boiler-7'].setpoint, { value: 25, ...OWN });
  assert.equal(await plant.get('boiler-7.setpoint'), 25);
});

test('one device of a module goes offline, the other goes on', async (t) => {
  const { plant, module } = await between(t);
  const heating = module('heating');
  await heating.reports(complete, 'both boilers in the twin');

  await plant.unit(8, 'silent');
  await heating.reports((now) => now['boiler-8'].health.state === 'offline', 'boiler-8 offline');
  await plant.set('boiler-7.temperature', 71.25);
  const without = await heating.reports((now) => now['boiler-7'].temperature === 71.25, 'the other one, fresh');
  assert.equal(without['boiler-7'].health.state, 'online');
  assert.equal(without['boiler-8'].health.state, 'offline');
  assert.notEqual(without['boiler-8'].health.error, '');
  assert.equal(without['boiler-8'].temperature, 68.5, 'the last known value stays');

  const waiting = await heating.desire({ 'boiler-8': { setpoint: 22 }, 'boiler-7': { setpoint: 23 } });
  const answered = await heating.reports((now) => now['boiler-7'].setpoint.ac === 200 &&
    now['boiler-8'].setpoint.ac === 202, 'done for one, pending for the other');
  assert.deepEqual(answered['boiler-8'].setpoint, { value: 18, ac: 202, av: waiting, ad: 'waiting for the device' });

  await plant.unit(8, 'ok');
  const back = await heating.reports((now) => now['boiler-8'].health.state === 'online' &&
    now['boiler-8'].setpoint.ac === 200, 'boiler-8 back');
  assert.deepEqual(back['boiler-8'].setpoint, { value: 22, ac: 200, av: waiting, ad: '' });
  assert.equal(await plant.get('boiler-8.setpoint'), 22);
});

test('a module of one device has a component when the mapping says so', async (t) => {
  const { module } = await between(t, {
    heating: { devices: ['boiler-7', 'boiler-8'] },
    annex: { devices: ['boiler-9'], components: true },
  });
  const annex = module('annex');

  const twin = await annex.reports((now) => now['boiler-9']?.temperature === 69.5 && now['boiler-9'].setpoint?.value,
    'boiler-9 as a component');
  assert.deepEqual([Object.keys(twin), twin['boiler-9'].__t], [['boiler-9'], 'c']);
  const av = await annex.desire({ 'boiler-9': { setpoint: 12 } });
  const after = await annex.reports((now) => now['boiler-9'].setpoint.av === av && now['boiler-9'].setpoint.ac === 200,
    'the answer');
  assert.deepEqual(after['boiler-9'].setpoint, { value: 12, ac: 200, av, ad: '' });
});
