// One bad unit hurts nobody else on its connection: polls are counted at the devices, over every window of
// ten seconds that begins three seconds after units fell silent.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { bridge, devices, until } from './lib/index.js';
import { BLOCKS, encoded, fillEncoded, wrongValues } from './lib/encoded.js';

const WINDOW_MS = 10000;
const SETTLE_MS = 3000;
const WATCH_MS = 14000;
const POLL_MS = 500;

const range = (count) => Array.from({ length: count }, (_, i) => i + 1);

/** How often each device was asked, now. */
async function counts(sim, names) {
  const asked = {};
  for (const name of names) asked[name] = Number((await sim.command(`unit ${name} count`)).split(' ')[0]);
  return { time: performance.now(), asked };
}

/** The least share of the polls of `names` in any window of `samples`, and whose it was. */
function worst(samples, names) {
  let least = { share: Infinity };
  for (const [i, from] of samples.entries()) {
    const to = samples.slice(i).find((sample) => sample.time - from.time >= WINDOW_MS);
    if (!to) break;
    for (const name of names) {
      const wanted = BLOCKS * (to.time - from.time) / POLL_MS;
      const share = (to.asked[name] - from.asked[name]) / wanted;
      if (share < least.share) least = { share, name, from: from.time - samples[0].time };
    }
  }
  return least;
}

test('four units with one silent, sixteen with three dead: the others keep 90 % of their polls', async (t) => {
  const lines = { four: range(4), sixteen: range(16) };
  const dead = ['four-2', 'sixteen-1', 'sixteen-7', 'sixteen-8'];
  const mapping = encoded(lines, { poll: `${POLL_MS}ms`, connection: { response_timeout: '500ms' }, modules: {} });
  const sim = await devices(t, mapping);
  await fillEncoded(sim, mapping);
  const gateway = await bridge(t, { hub: { host: 'localhost', port: 1 }, devices: sim, mapping, provision: false });
  const names = Object.keys(mapping.devices);
  const alive = names.filter((name) => !dead.includes(name));
  const states = async () => Object.fromEntries((await gateway.status('?tags=0')).devices.map((d) => [d.name, d]));
  await until(async () => Object.values(await states()).every((device) => device.state === 'online'), { what: 'all online' });
  await sleep(2000);

  for (const name of dead) await sim.unit(name, 'silent');
  await sleep(SETTLE_MS);
  const samples = [];
  for (const begun = performance.now(); performance.now() - begun < WATCH_MS; await sleep(200))
    samples.push(await counts(sim, names));

  const { share, name, from } = worst(samples, alive);
  t.diagnostic(`the worst of the others is ${name} with ${(share * 100).toFixed(1)} % from ${(from / 1000).toFixed(1)} s on`);
  assert.ok(share >= 0.9, `${name}: ${share}`);
  const now = await states();
  for (const name of names) assert.equal(now[name].state, dead.includes(name) ? 'offline' : 'online', name);
  for (const name of alive) {
    assert.equal(now[name].errors.timeout, 0, name);
    const { p50, p95, max } = now[name].latency_ms;
    assert.ok(p50 > 0 && p50 <= p95 && p95 <= max, `${name} answers in ${p50}, ${p95}, ${max} ms`);
  }
  const status = await gateway.status();
  assert.deepEqual(status.connections.map((connection) => connection.reconnects), [0, 0]);
  assert.deepEqual(wrongValues(mapping, status), []);
  for (const { device, quality } of status.tags)
    assert.equal(quality, dead.includes(device) ? 'stale' : 'good', device);

  const again = performance.now();
  for (const name of dead) await sim.unit(name, 'ok');
  await until(async () => Object.values(await states()).every((device) => device.state === 'online'),
    { timeout: 35000, what: 'those who were dead' });
  t.diagnostic(`all are back ${((performance.now() - again) / 1000).toFixed(1)} s after they answer again`);
  await until(async () => (await gateway.status()).tags.every((tag) => tag.quality === 'good'), { what: 'good values' });
});
