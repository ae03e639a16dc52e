// The whole bridge beside a simulated hub and the devices of the benchmark.

import { setTimeout as sleep } from 'node:timers/promises';

import { bridge } from '../../e2e/lib/bridge.js';
import { hub } from '../../e2e/lib/hub.js';
import { until } from '../../e2e/lib/until.js';
import { within } from './context.js';
import { busyUs, cpuUs, memory } from './machine.js';
import { mapping } from './mapping.js';
import { devices, pin } from './programs.js';

const START_MS = 120000;
const SETTLE_MS = 3000; // what only a start needs is given back or not by then

/** Starts a bridge of that size and calls `work` with it when everything is connected. */
async function running(cores, size, { moving = false } = {}, work) {
  return await within(async (t) => {
    const server = await devices(t, cores.peer, moving ? ['--moving'] : []);
    const peer = size.modules > 0 ? await hub(t) : undefined;
    if (peer) pin(peer.program.pid, cores.peer);
    const made = await bridge(t,
      { hub: peer, provision: size.modules > 0, mapping: mapping({ port: server.port, ...size }), start: false });
    if (!peer) made.change((mapping) => { mapping.hub = { host_name: 'localhost', device_id: 'gateway-0' }; });
    await made.start();
    pin(made.program.pid, cores.client);
    await until(async () => {
      const status = await made.status('?tags=0');
      return status.devices.every(({ state }) => state === 'online') &&
        status.modules.every(({ state }) => state === 'ready');
    }, { timeout: START_MS, every: 200, what: 'devices online and modules ready' });
    await sleep(SETTLE_MS);
    return await work(made);
  });
}

/** Bytes of the bridge with so many devices, tags of each and modules. */
export async function bytes(cores, size) {
  const used = await running(cores, { interval: '1s', ...size }, {}, ({ program }) => memory(program.pid));
  process.stderr.write('.');
  return used;
}

const patches = (status) => status.modules.reduce((sum, module) => sum + module.patches, 0);
const requests = (status) => status.devices.reduce((sum, device) => sum + device.requests, 0);

/** CPU time of the bridge over `seconds`, with what it did meanwhile. */
export async function work(cores, size, seconds, moving) {
  return await running(cores, size, { moving }, async (made) => {
    const before = await made.status('?tags=0');
    const start = { cpu: cpuUs(made.program.pid), busy: busyUs(), wall: performance.now() };
    await sleep(seconds * 1000);
    const used = cpuUs(made.program.pid) - start.cpu;
    const wall = (performance.now() - start.wall) / 1000;
    const after = await made.status('?tags=0');
    process.stderr.write('.');
    return {
      us: used,
      seconds: wall,
      patches: patches(after) - patches(before),
      polls: requests(after) - requests(before),
    };
  });
}
