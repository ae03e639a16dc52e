// Waiting for something to become true, instead of sleeping and hoping.

import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Calls `probe` until it gives something truthy, and gives that. What it throws counts as "not yet".
 * After `timeout` ms it throws: `what` was waited for, and what the last try gave.
 */
export async function until(probe, { timeout = 10000, every = 25, what = 'the condition' } = {}) {
  const end = performance.now() + timeout;
  for (;;) {
    let last;
    try {
      last = await probe();
      if (last) return last;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= end) {
      const shown = last instanceof Error ? (last.stack ?? last.message) : JSON.stringify(last);
      throw new Error(`waited ${timeout} ms for ${what}; at last: ${shown}`);
    }
    await sleep(every);
  }
}

/** Makes sure that `probe` stays truthy for `time` ms: for what must not happen. */
export async function stays(probe, { time = 1000, every = 25, what = 'the condition' } = {}) {
  const end = performance.now() + time;
  while (performance.now() < end) {
    const now = await probe();
    if (!now) throw new Error(`${what} did not last ${time} ms`);
    await sleep(every);
  }
}
