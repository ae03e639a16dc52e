// Minutes of a plant whose devices lie, stall and hang up in 30 % of their answers, beside a hub: memory and
// descriptors every ten seconds, and at the end whether the twins are what the devices hold.
//
// usage: tests/bench/soak [MINUTES, default 20] [--share PERCENT, default 30]
// The programs are taken from build/release/bin, or TWINBRIDGE_BIN. Exit code 0: memory flat, descriptors
// back, twins right; 1: not.

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
process.env.TWINBRIDGE_BIN ??= path.join(root, 'build/release/bin');
const { bridge, devices, hub } = await import('../e2e/lib/index.js');
const { slope, usage } = await import('../e2e/lib/usage.js');

const minutes = Number(process.argv[2]?.startsWith('--') === false ? process.argv[2] : 20);
const at = process.argv.indexOf('--share');
const share = Number(at < 0 ? 30 : process.argv[at + 1]);
if (!(minutes > 0) || !(share >= 0 && share <= 100)) {
  console.error('usage: tests/bench/soak [MINUTES] [--share PERCENT]');
  process.exit(64);
}
const DEVICE = 'gateway-01';

/** Stands for the test that the programs of tests/e2e belong to. */
const undo = [];
const t = { after: (step) => undo.push(step), diagnostic: console.log };

const example = JSON.parse(fs.readFileSync(path.join(root, 'config/examples/demo.json'), 'utf8'));
const mapping = { hub: { host_name: 'localhost', device_id: DEVICE }, ...Object.fromEntries(
  ['connections', 'templates', 'devices', 'modules'].map((key) => [key, example[key]])) };

// What the devices do in turn, a minute each; everything together is `share` of all answers.
const FAULTS = ['wire any', 'silent', 'late 700ms', 'wire garbage', 'exception 6', 'wire cut', 'hangup', 'wire foreign-id',
  'slow 600ms', 'wire any', 'exception 4', 'wire storm', 'wire dribble', 'wire close-at 5'];

const CHANGES = {
  boiler: {
    temperature: () => round(20 + Math.random() * 60, 2),
    alarm: () => Math.random() < 0.5,
    flow_rate: () => round(Math.random() * 20, 2),
    energy: () => Math.floor(Math.random() * 1e9),
  },
  meter: {
    voltage: () => round(220 + Math.random() * 20, 2),
    current: () => round(Math.random() * 30, 2),
    power: () => round(Math.random() * 9000, 1),
    energy_total: () => round(Math.random() * 1e6, 2),
    breaker: () => Math.random() < 0.5,
  },
};

// How far a reported value may be from the register: what the mapping's deadband lets pass, and a float32.
const TOLERANCE = { temperature: 0.21, flow_rate: 0.051, voltage: 0.51, current: 0.11, power: 5.01 };

function round(number, decimals) {
  return Number(number.toFixed(decimals));
}

function pick(list) {
  return list[Math.floor(Math.random() * list.length)];
}

function templateOf(device) {
  return mapping.devices[device].template;
}

/** The reported properties of a device, wherever its module has them. */
async function reportedOf(iot, device) {
  const module = Object.entries(mapping.modules).find(([, entry]) => entry.devices.includes(device))?.[0];
  const reported = await iot.reported(DEVICE, module ?? device);
  return module ? reported[device] : reported;
}

async function desire(iot, device, setpoint) {
  const module = Object.entries(mapping.modules).find(([, entry]) => entry.devices.includes(device))?.[0];
  await iot.desire(DEVICE, module ?? device, module ? { [device]: { __t: 'c', setpoint } } : { setpoint });
}

/** What is not in the twins as it is in the devices. */
async function differences(iot, sim) {
  const found = [];
  for (const device of Object.keys(mapping.devices)) {
    const reported = await reportedOf(iot, device);
    for (const tag of Object.keys(mapping.templates[templateOf(device)].tags)) {
      const here = await sim.get(`${device}.${tag}`);
      const there = reported[tag]?.value ?? reported[tag];
      const near = typeof here === 'number' && Math.abs(here - there) <= (TOLERANCE[tag] ?? 0);
      if (here !== there && !near) found.push(`${device}.${tag}: the device has ${here}, the twin ${JSON.stringify(reported[tag])}`);
    }
    if (reported.health?.state !== 'online') found.push(`${device}: health ${JSON.stringify(reported.health)}`);
  }
  return found;
}

/** Changes values in the devices and orders in the twins until `until()`. */
async function disturb(iot, sim, going) {
  let changes = 0;
  let orders = 0;
  const boilers = Object.keys(mapping.devices).filter((device) => templateOf(device) === 'boiler');
  while (going()) {
    const device = pick(Object.keys(mapping.devices));
    const tag = pick(Object.keys(CHANGES[templateOf(device)]));
    await sim.set(`${device}.${tag}`, CHANGES[templateOf(device)][tag]());
    changes++;
    if (changes % 50 === 0) {
      await desire(iot, pick(boilers), round(10 + Math.random() * 20, 1)).catch((error) => console.log(`order: ${error.message}`));
      orders++;
    }
    await sleep(100);
  }
  return { changes, orders };
}

const sum = (list, of) => list.reduce((total, entry) => total + of(entry), 0);

async function main() {
  const iot = await hub(t);
  const sim = await devices(t, mapping);
  const gateway = await bridge(t, { hub: iot, devices: sim, mapping });
  await gateway.ready();

  const begun = performance.now();
  const end = begun + minutes * 60000;
  const going = () => performance.now() < end;
  const samples = [];
  const disturbing = disturb(iot, sim, going);
  const before = usage(gateway.program.pid);
  console.log(`${minutes} minutes with ${share} % of all answers faulty; at first ${before.rss} KiB, ${before.fds} descriptors`);
  for (let round_ = 0; going(); round_++) {
    if (round_ % 6 === 0) {
      const fault = FAULTS[Math.floor(round_ / 6) % FAULTS.length];
      await sim.unit('*', share > 0 ? `${fault} ${share}%` : 'ok');
      console.log(`--- ${fault}`);
    }
    await sleep(Math.max(0, Math.min(10000, end - performance.now())));
    const { rss, fds } = usage(gateway.program.pid);
    const { devices: all, connections, modules } = await gateway.status('?tags=0');
    samples.push([(performance.now() - begun) / 3600000, rss]);
    const errors = ['timeout', 'exception', 'late', 'other'].map((cause) => `${cause} ${sum(all, (d) => d.errors[cause])}`);
    console.log(`${String(Math.round((performance.now() - begun) / 1000)).padStart(5)} s  ${rss} KiB  ${fds} fds  ` +
      `${sum(all, (d) => d.requests)} requests, ${errors.join(', ')}, ${sum(connections, (c) => c.reconnects)} reconnects, ` +
      `${sum(modules, (m) => m.patches)} patches  ${all.map((d) => d.state).join(' ')}`);
  }
  const done = await disturbing;
  await sim.unit('*', 'ok');
  const [asked, faulty] = (await sim.command('unit * count')).split(' ').map(Number);

  // Nothing changes any more: 10 s of min_interval, and back-off, lie between this and the truth.
  let wrong = [];
  const settle = performance.now();
  do {
    await sleep(1000);
    wrong = await differences(iot, sim);
    if (wrong.length > 0) console.log(`not yet: ${wrong.join('; ')}`);
  } while (wrong.length > 0 && performance.now() - settle < 60000);
  const after = usage(gateway.program.pid);
  const half = samples.slice(Math.floor(samples.length / 2));
  const trend = half.length > 2 ? slope(half) : 0;
  const result = { minutes, share, requests: asked, faulty, ...done, rss_first: before.rss, rss_last: after.rss,
    rss_half: half[0]?.[1], rss_trend_per_hour: Math.round(trend), fds_first: before.fds, fds_last: after.fds,
    right_after_s: round((performance.now() - settle) / 1000, 1), wrong };
  console.log(JSON.stringify(result, null, 2));
  // A trend over minutes is mostly noise of the allocator: what counts is what an hour of it would add.
  return wrong.length === 0 && after.fds <= before.fds && after.rss - (half[0]?.[1] ?? 0) < 1024;
}

let right = false;
try {
  right = await main();
} catch (error) {
  console.error(error);
} finally {
  for (const step of undo.reverse()) await step().catch?.((error) => {
    console.error(error);
    right = false;
  });
}
console.log(right ? 'passed' : 'FAILED');
process.exit(right ? 0 : 1);
