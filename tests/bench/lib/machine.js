// What the machine says about time and memory, and which core is whose.

import fs from 'node:fs';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const TICK_US = 10000; // of /proc/stat: USER_HZ is 100 everywhere

const read = (file) => fs.readFileSync(file, 'utf8');

/** The cores that this process may use, as numbers. */
function cores() {
  const list = read('/proc/self/status').match(/^Cpus_allowed_list:\s*(\S+)$/m)[1];
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** The core of the client under test, and the other one, where its peers are. */
export function twoCores() {
  const all = cores();
  if (all.length < 2) throw new Error('the benchmark wants two cores: a client and its peers take one each');
  return { client: all[0], peer: all[1] };
}

/** CPU time of a process with all its threads, in microseconds. */
export function cpuUs(pid) {
  const threads = fs.readdirSync(`/proc/${pid}/task`);
  return threads.reduce((sum, thread) =>
    sum + Number(read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0]) / 1000, 0);
}

/** CPU time that all of the machine has spent, in microseconds; what the host took away counts too. */
export function busyUs() {
  const [user, nice, system, , , irq, softirq, steal] =
    read('/proc/stat').match(/^cpu +(.*)$/m)[1].split(' ').map(Number);
  return (user + nice + system + irq + softirq + steal) * TICK_US;
}

/** Memory that is a process's alone, with its share of what it shares, in bytes. */
export function memory(pid) {
  return Number(read(`/proc/${pid}/smaps_rollup`).match(/^Pss:\s+(\d+) kB$/m)[1]) * 1024;
}

export const descriptors = (pid) => fs.readdirSync(`/proc/${pid}/fd`).length;

export function description() {
  return { cpu: os.cpus()[0].model, cores: cores().length, kernel: os.release(), load: os.loadavg()[0] };
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Waits until nobody else wants the machine, as long as `patience.ms` lasts over all calls with it. */
export async function quiet(patience) {
  while (patience.ms > 0) {
    const start = { wall: performance.now(), busy: busyUs() };
    await sleep(200);
    const wall = performance.now() - start.wall;
    if ((busyUs() - start.busy) / 1000 / wall < 0.15) return;
    patience.ms -= wall;
  }
}
