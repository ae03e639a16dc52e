// The network is cut and healed: started by tests/bench/cut inside the namespace of the devices and the hub;
// the bridge runs in the namespace NEAR, and MIDDLE forwards between the two.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Program, binaries, bridge, folder, hub, until } from '../e2e/lib/index.js';
import { usage } from '../e2e/lib/usage.js';

const [near, middle, ...given] = process.argv.slice(2);
const cuts = given.length > 0 ? given.map(Number) : [5, 60, 300];
const DEVICE = 'gateway-01';
const NEAR_ADDRESS = '10.99.1.2';
const FAR_ADDRESS = '10.99.2.2';
const DEVICES = { 'boiler-7': 7, 'boiler-8': 8 };

const undo = [];
const t = { after: (step) => undo.push(step), diagnostic: console.log };

const mapping = {
  hub: { host_name: 'hub.cut', device_id: DEVICE },
  connections: { plant: { transport: 'tcp', host: FAR_ADDRESS, port: 15020 } },
  templates: { boiler: { poll_interval: '1s', tags: {
    temperature: { table: 'input', address: 0, type: 'float32' },
    setpoint: { table: 'holding', address: 100, type: 'int16', scale: 0.1, access: 'rw', min: 5, max: 35 },
  } } },
  devices: Object.fromEntries(Object.entries(DEVICES).map(
    ([name, unit]) => [name, { connection: 'plant', unit_id: unit, template: 'boiler' }])),
};

function ip(...args) {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** What the middle forwards no longer, it swallows: no reset, no ICMP. */
function cut(how) {
  for (const address of [NEAR_ADDRESS, FAR_ADDRESS]) ip('-n', middle, 'route', how, 'blackhole', `${address}/32`);
}

async function modbussim() {
  const file = path.join(folder(t), 'devices.json');
  fs.writeFileSync(file, JSON.stringify(mapping));
  const program = new Program(t, 'modbussim', [file, '--still', '--connection', 'plant', '--listen', `${FAR_ADDRESS}:15020`,
    '--control', '127.0.0.1:0']);
  await program.line(/^ready$/m);
  const socket = net.connect(Number(program.stdout.match(/^control .*:(\d+)$/m)[1]), '127.0.0.1');
  undo.push(() => socket.destroy());
  socket.setEncoding('utf8');
  return (line) => new Promise((resolve) => {
    socket.once('data', (answer) => resolve(answer.trim()));
    socket.write(`${line}\n`);
  });
}

function status(url) {
  return JSON.parse(execFileSync('ip', ['netns', 'exec', near, 'curl', '-s', '-m', '5', `${url}/api/status?tags=0`], { encoding: 'utf8' }));
}

async function main() {
  const iot = await hub(t, { args: ['--listen', '0.0.0.0', '--host-name', 'hub.cut'] });
  const command = await modbussim();
  const gateway = await bridge(t, { hub: iot, mapping, ports: {}, start: false });
  const program = new Program(t, '/usr/sbin/ip',
    ['netns', 'exec', near, path.resolve(binaries, 'twinbridge'), 'run', gateway.file], { name: 'twinbridge' });
  const url = (await program.line(/status page at (http:\/\/[^/\s]+)\//))[1];
  const states = () => status(url);
  const devicesOnline = () => states().devices.every((device) => device.state === 'online');
  const modulesReady = () => states().modules.every((module) => module.state === 'ready');
  await until(() => devicesOnline() && modulesReady(), { what: 'everything up', every: 200 });

  const results = [];
  let degrees = 50;
  for (const seconds of cuts) {
    await sleep(65000 - (results.length === 0 ? 60000 : 0)); // up for so long that the back-off starts anew
    const before = usage(program.pid);
    const lines = program.stderr.split('\n').length;
    cut('add');
    const end = performance.now() + seconds * 1000;
    while (performance.now() < end) {
      degrees += 0.5;
      for (const name of Object.keys(DEVICES)) await command(`set ${name}.temperature ${degrees}`);
      await sleep(Math.min(1000, Math.max(0, end - performance.now())));
    }
    const setpoint = 10 + results.length;
    for (const name of Object.keys(DEVICES)) await iot.desire(DEVICE, name, { setpoint });
    const during = states();
    cut('delete');
    const healed = performance.now();
    const since = () => Number(((performance.now() - healed) / 1000).toFixed(1));
    await until(devicesOnline, { timeout: 120000, every: 100, what: 'the devices' });
    const devices_s = since();
    await until(modulesReady, { timeout: 300000, every: 100, what: 'the modules' });
    const modules_s = since();
    for (const name of Object.keys(DEVICES)) {
      await until(async () => {
        const reported = await iot.reported(DEVICE, name);
        return reported.temperature === degrees && reported.setpoint.value === setpoint && reported.setpoint.ac === 200;
      }, { timeout: 60000, every: 100, what: `the twin of ${name}` });
      if (await command(`get ${name}.setpoint`) !== `ok ${setpoint}`) throw new Error(`${name}: the order was not carried out`);
    }
    const result = { cut_s: seconds, devices_s, modules_s, twin_and_orders_s: since(),
      during: { devices: during.devices.map((device) => device.state), modules: during.modules.map((module) => module.state) },
      before, after: usage(program.pid), log_lines: program.stderr.split('\n').length - lines };
    results.push(result);
    console.log(JSON.stringify(result));
    if (result.after.fds > before.fds) throw new Error('descriptors were left behind');
  }
  return results;
}

let failed = true;
try {
  await main();
  failed = false;
} catch (error) {
  console.error(error);
} finally {
  for (const step of undo.reverse()) {
    try {
      await step();
    } catch (error) {
      console.error(error);
      failed = true;
    }
  }
}
console.log(failed ? 'FAILED' : 'passed');
process.exit(failed ? 1 : 0);
