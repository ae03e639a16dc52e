// "Get started with IoT Hub module identities and module identity twins", Microsoft's article, step by step:
// twinctl is the back end; the module is Microsoft's device SDK at first, and the bridge after that.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { bridge, devices, run, until } from './lib/index.js';
import { desiredPatches, failure, report, sdkClient, sdkHub } from './lib/sdk.js';

const ID = 'gateway-01/boiler-9';

/** twinctl signed in to the hub; checks its exit code and gives what it printed. */
function backEnd(t, h) {
  return async (args, code = 0) => {
    const result = await run(t, 'twinctl', [...args, ...h.signIn()]);
    assert.equal(result.code, code, `twinctl ${args.join(' ')}: ${result.stdout}${result.stderr}`);
    return result;
  };
}

async function twinOf(twinctl) {
  return JSON.parse((await twinctl(['twin', 'get', ID, '--json'])).stdout);
}

test('with the SDK as the module', async (t) => {
  const h = await sdkHub(t, { name: 'localhost' });
  const twinctl = backEnd(t, h);

  await twinctl(['device', 'create', 'gateway-01']);
  await twinctl(['module', 'create', ID]);
  const connectionString = (await twinctl(['module', 'show', ID, '--connection-string'])).stdout.trim();
  const client = await sdkClient(t, h, connectionString);
  await client.open();
  const twin = await client.getTwin();
  assert.deepEqual(JSON.parse(JSON.stringify(twin.properties)),
    { desired: { $version: 1 }, reported: { $version: 1 } });

  const temperature = Math.random() * 35;
  await report(twin, { temperature, when: { sampled: true } });
  const seen = await twinOf(twinctl);
  assert.equal(seen.properties.reported.temperature, temperature);
  assert.equal(seen.connectionState, 'Connected');

  const desired = await desiredPatches(h, ID, twin);
  await twinctl(['twin', 'update', ID, 'telemetryInterval=122', 'unit=degC', '--etag', seen.etag]);
  assert.deepEqual(await desired.next(), { telemetryInterval: 122, unit: 'degC', $version: 2 });

  const stale = await twinctl(['twin', 'update', ID, 'telemetryInterval=1', '--etag', seen.etag], 75);
  assert.match(stale.stderr, /412 PreconditionFailed/);
  const asked = await failure(h.registry.updateModuleTwin('gateway-01', 'boiler-9',
    { properties: { desired: { telemetryInterval: 1 } } }, seen.etag));
  assert.equal(asked.response.statusCode, 412);
  assert.equal((await twinOf(twinctl)).properties.desired.telemetryInterval, 122);

  const { etag } = await twinOf(twinctl);
  await twinctl(['twin', 'replace', ID, 'unit=K', '--etag', etag]);
  assert.deepEqual(await desired.next(), { telemetryInterval: null, unit: 'K', $version: 3 });
  assert.deepEqual(twin.properties.desired, { unit: 'K', $version: 3 });
  const { $metadata, $version, ...left } = (await twinOf(twinctl)).properties.desired;
  assert.deepEqual(left, { unit: 'K' });

  await client.close();
  await twinctl(['module', 'delete', ID]);
  await twinctl(['twin', 'get', ID], 66);
  const gone = await sdkClient(t, h, connectionString);
  assert.equal((await failure(gone.open())).name, 'UnauthorizedError');
});

test('with the bridge as the module', async (t) => {
  const h = await sdkHub(t, { name: 'localhost' });
  const twinctl = backEnd(t, h);
  const mapping = {
    hub: { host_name: h.host, device_id: 'gateway-01' },
    connections: { plant: { transport: 'tcp', host: '127.0.0.1', response_timeout: '500ms' } },
    devices: {
      'boiler-9': {
        connection: 'plant',
        unit_id: 1,
        poll_interval: '50ms',
        tags: {
          temperature: { table: 'input', address: 0, type: 'float32' },
          telemetryInterval: { table: 'holding', address: 10, type: 'uint16', access: 'rw', min: 1, max: 3600 },
        },
      },
    },
  };
  const plant = await devices(t, mapping);
  const temperature = Math.fround(Math.random() * 35);
  await plant.set('boiler-9.temperature', String(temperature));
  await plant.set('boiler-9.telemetryInterval', '60');
  await (await bridge(t, { hub: h, devices: plant, mapping })).ready();

  const reported = async () => (await twinOf(twinctl)).properties.reported;
  const acknowledged = (wanted) => until(async () => {
    const { telemetryInterval } = await reported();
    assert.deepEqual(telemetryInterval, wanted);
    return true;
  }, { what: JSON.stringify(wanted) });
  await until(async () => Math.abs((await reported()).temperature - temperature) < 1e-4, { what: 'the temperature' });
  await acknowledged({ value: 60, ac: 203, av: 0, ad: "device's own value" });

  // No patch of the module makes the etag stale: only the back end's own writes do.
  const { etag } = await twinOf(twinctl);
  await twinctl(['twin', 'update', ID, 'telemetryInterval=122', '--etag', etag]);
  await acknowledged({ value: 122, ac: 200, av: 2, ad: '' });
  assert.equal(await plant.get('boiler-9.telemetryInterval'), 122);

  const stale = await twinctl(['twin', 'update', ID, 'telemetryInterval=1', '--etag', etag], 75);
  assert.match(stale.stderr, /412 PreconditionFailed/);

  await twinctl(['twin', 'replace', ID, 'unknown=1']);
  await until(async () => (await reported()).unknown?.ac === 404, { what: 'the answer to what it does not know' });
  const { telemetryInterval: gone } = await reported();
  assert.deepEqual([gone.value, gone.ac, gone.av], [122, 203, 0], 'nobody desires it, and it stays as it is');
  assert.equal(await plant.get('boiler-9.telemetryInterval'), 122);
});
