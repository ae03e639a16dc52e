// 1,100 TCP connections to devices in one process, all polled. The devices are libmodbus's (modbussim), in
// several processes, because libmodbus ends where a descriptor reaches 1024.

import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { bridge } from '../../e2e/lib/bridge.js';
import { Program, folder } from '../../e2e/lib/program.js';
import { until } from '../../e2e/lib/until.js';
import { within } from './context.js';
import { cpuUs, descriptors, memory } from './machine.js';
import { mapping } from './mapping.js';

const PER_PROCESS = 550; // clients; modbussim takes 900
const WATCH_MS = 5000; // five polls of every tag

/** One modbussim that many clients share; gives its port. */
async function simulator(t, tags) {
  const file = path.join(folder(t), 'devices.json');
  fs.writeFileSync(file, JSON.stringify({
    ...mapping({ port: 1, devices: 1, tags }), hub: { host_name: 'localhost', device_id: 'gateway-0' } }));
  const program = new Program(t, 'modbussim',
    [file, '--connection', 'c00000', '--listen', '127.0.0.1:0', '--still']);
  return Number((await program.line(/^listening \S+ .*:(\d+)$/m))[1]);
}

function spread(whole, ports) {
  Object.values(whole.connections).forEach((connection, i) => {
    connection.port = ports[Math.floor(i / PER_PROCESS)];
  });
  return { ...whole, hub: { host_name: 'localhost', device_id: 'gateway-0' } };
}

const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

function trouble(status, before) {
  const offline = status.devices.filter(({ state }) => state !== 'online').length;
  const bad = status.tags.filter(({ quality }) => quality !== 'good').length;
  const old = status.tags.filter(({ sampled }, i) => !(sampled > before.tags[i].sampled)).length;
  const failed = sum(status.devices.map(({ errors }) => sum(Object.values(errors))));
  return { offline, bad, old, failed };
}

/** Runs it; gives what it took and how many devices and tags were not as they should be. */
export async function connections({ count = 1100, tags = 10 } = {}) {
  return await within(async (t) => {
    const ports = [];
    for (let i = 0; i < count; i += PER_PROCESS) ports.push(await simulator(t, tags));
    const made = await bridge(t,
      { provision: false, mapping: spread(mapping({ port: 1, devices: count, tags }), ports) });
    const started = performance.now();
    await until(async () => (await made.status('?tags=0')).devices.every(({ state }) => state === 'online'),
      { timeout: 120000, every: 100, what: 'all devices online' });
    const online = (performance.now() - started) / 1000;
    const before = await made.status();
    const cpu = cpuUs(made.program.pid);
    const from = performance.now();
    await sleep(WATCH_MS);
    const share = (cpuUs(made.program.pid) - cpu) / 1000 / (performance.now() - from);
    const after = await made.status();
    return {
      connections: after.connections.filter(({ state }) => state === 'connected').length,
      tags: after.tags.length,
      online_after_s: online,
      polls_per_s: (sum(after.devices.map(({ requests }) => requests)) -
        sum(before.devices.map(({ requests }) => requests))) * 1000 / (performance.now() - from),
      descriptors: descriptors(made.program.pid),
      bytes: memory(made.program.pid),
      cpu_share: share,
      ...trouble(after, before),
    };
  });
}
