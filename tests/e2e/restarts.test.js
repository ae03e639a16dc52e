// Devices and hub that go away and come back a hundred times: recovered each time without a restart, and
// nothing left behind. Minutes long: only with TWINBRIDGE_LONG=1.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { boilers, bridge, hub, plant, until } from './lib/index.js';
import { usage } from './lib/usage.js';

const LONG = process.env.TWINBRIDGE_LONG === '1';
const DEVICE = 'gateway-01';
const UNITS = { 'boiler-7': 7, 'boiler-8': 8, 'boiler-9': 9 };
const DEVICE_TIMES = 100;
const HUB_TIMES = 20;
const WARM = 10; // restarts after which what is kept for good is there
const STABLE_MS = 61000; // a session that was up for so long begins its back-off anew, and looks like no eviction

async function system(t) {
  const iot = await hub(t);
  const site = await plant(t, UNITS);
  const gateway = await bridge(t, { hub: iot, ports: site.ports, mapping: boilers(UNITS) });
  await gateway.ready();
  return { iot, site, gateway };
}

async function online(gateway) {
  return (await gateway.status('?tags=0')).devices.every((device) => device.state === 'online');
}

/** All units have `degrees`, and the hub shows it. */
async function shows(iot, site, degrees) {
  for (const unit of Object.keys(UNITS)) await site.temperature(unit, degrees);
  for (const unit of Object.keys(UNITS))
    await until(async () => (await iot.reported(DEVICE, unit)).temperature === degrees,
      { timeout: 400000, every: 100, what: `${unit} at ${degrees}` });
}

/** Descriptors and memory as they were after the first few times. */
function nothingLeft(t, gateway, warm, what) {
  const now = usage(gateway.program.pid);
  t.diagnostic(`${what}: ${JSON.stringify(warm)} before, ${JSON.stringify(now)} after`);
  assert.ok(now.fds <= warm.fds, `${now.fds} descriptors, ${warm.fds} before`);
  // A sanitizer's allocator keeps what was freed: its build is told by what it is linked with.
  if (!/libasan/.test(fs.readFileSync(`/proc/${gateway.program.pid}/maps`, 'utf8')))
    assert.ok(now.rss - warm.rss < 2048, `${now.rss} KiB, ${warm.rss} before`);
}

test(`a device server that is restarted ${DEVICE_TIMES} times is always found again`, { skip: !LONG }, async (t) => {
  const { iot, site, gateway } = await system(t);
  let warm;
  let slowest = 0;

  for (let time = 1; time <= DEVICE_TIMES; time++) {
    await site.kill();
    if (time % 5 === 0) // now and then for so long that it is offline
      await until(async () => !await online(gateway), { what: 'the devices to be offline' });
    await site.start();
    await site.fill();
    const begun = performance.now();
    await until(() => online(gateway), { timeout: 40000, what: `recovery ${time}` });
    await shows(iot, site, 60 + time / 2);
    slowest = Math.max(slowest, performance.now() - begun);
    if (time === WARM) warm = usage(gateway.program.pid);
  }

  t.diagnostic(`the slowest recovery took ${(slowest / 1000).toFixed(1)} s`);
  nothingLeft(t, gateway, warm, `${DEVICE_TIMES - WARM} restarts of the devices`);
});

test(`a hub that is restarted ${HUB_TIMES} times is always found again`, { skip: !LONG }, async (t) => {
  const { iot, site, gateway } = await system(t);
  let warm;
  let slowest = 0;

  for (let time = 1; time <= HUB_TIMES; time++) {
    await sleep(STABLE_MS);
    await iot.kill();
    await gateway.reaches('waiting');
    await site.temperature('boiler-7', 20 + time); // while it is away
    await iot.start();
    const begun = performance.now();
    await gateway.ready(undefined, 400000);
    await shows(iot, site, 60 + time / 2);
    slowest = Math.max(slowest, performance.now() - begun);
    t.diagnostic(`hub restart ${time}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
    if (time === Math.min(WARM, HUB_TIMES / 2)) warm = usage(gateway.program.pid);
  }

  t.diagnostic(`the slowest recovery took ${(slowest / 1000).toFixed(1)} s`);
  nothingLeft(t, gateway, warm, `${HUB_TIMES - WARM} restarts of the hub`);
});
