// Devices that lie, stall, and hang up: every fault of modbussim again and again, all at once on connections
// of their own. The bridge neither falls nor shows a wrong value, counts each under its cause, and polls at
// its full rate within two seconds of the end. A few dozen times each; 1,000 with TWINBRIDGE_LONG=1.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { bridge, cleanup, devices, hub, until } from './lib/index.js';
import { BLOCKS, encoded, fillEncoded, valueAt, wrongValues } from './lib/encoded.js';
import { usage } from './lib/usage.js';

const ROUNDS = process.env.TWINBRIDGE_LONG === '1' ? 2 : 1;
const TIMES_A_ROUND = process.env.TWINBRIDGE_LONG === '1' ? 500 : 24; // in a row, less than offline_after
const TIMES = ROUNDS * TIMES_A_ROUND;
const POLL_MS = 100;
const TIMEOUT_MS = 250;
const BAD = 1; // the unit that misbehaves, and its neighbours on the connection
const GOOD = 2;

// What each fault must count in the unit, per fault. `lost`: the connection is lost each time, or ('perhaps')
// only where nothing else helped. `together`: one time-out or one other error for each. `meets`: 'anybody' who was
// asked when the connection was lost; else the neighbour on the connection has not one error.
const ONE = [1, 1];
const NONE = [0, 0];
const FEW = [0, 0.05]; // pieces take their time on a machine that is busy with something else
const SOME = [0, Infinity];
const MANY = [1, Infinity];
const FAULTS = {
  'wire short': { other: ONE },
  'wire long': { other: ONE },
  'wire cut': { timeout: ONE },
  'wire glued': { late: ONE },
  'wire split': { timeout: FEW, late: FEW },
  'wire dribble': { timeout: FEW, late: FEW },
  'wire duplicate': { late: ONE },
  'wire foreign-id': { timeout: ONE, late: ONE },
  'wire foreign-unit': { timeout: ONE, late: ONE },
  'wire foreign-function': { timeout: ONE, late: ONE },
  // The request after it tells whether the stream makes sense again; garbage there, too, says it does not.
  'wire garbage': { other: SOME, timeout: SOME, together: true, lost: 'perhaps' },
  'wire close-at 0': { other: ONE, lost: true },
  'wire close-at 3': { other: ONE, lost: true },
  'wire close-at 7': { other: ONE, lost: true },
  'wire close-at 8': { other: ONE, lost: true },
  'wire close-at 20': { other: ONE, lost: true },
  'wire close-at 260': { lost: true, meets: 'anybody' }, // the answer was whole: the next one's is lost
  'wire flood': { other: ONE, late: SOME, lost: true },
  'wire storm': { other: ONE, late: MANY, lost: true },
  'wire any': { timeout: SOME, other: SOME, late: SOME, lost: 'perhaps', meets: 'anybody' },
  'silent': { timeout: ONE },
  'late 300ms': { timeout: ONE, late: ONE },
  'slow 60ms': { timeout: FEW, late: FEW },
  'hangup': { other: ONE, lost: true },
};

const nameOf = (fault) => fault.replaceAll(' ', '-');

/** Looks at the values all the time; stop() gives what was wrong, in texts. */
function watch(t, gateway, mapping) {
  const wrong = new Set();
  let looks = 0;
  let going = true;
  const watching = (async () => {
    while (going) {
      for (const text of wrongValues(mapping, await gateway.status())) wrong.add(text);
      looks++;
      await sleep(40);
    }
  })();
  cleanup(t, () => {
    going = false;
  });
  return { async stop() {
    going = false;
    await watching;
    assert.ok(looks > 10, `looked ${looks} times`);
    return [...wrong];
  } };
}

async function counts(sim, device) {
  const [asked, faulty] = (await sim.command(`unit ${device} count`)).split(' ').map(Number);
  return { asked, faulty };
}

const byName = (list) => Object.fromEntries(list.map((entry) => [entry.name, entry]));

/** Every device is asked as often as its poll interval says, from now on. */
async function fullRate(gateway, sim, mapping) {
  const names = Object.keys(mapping.devices);
  const time = 2000;
  const before = byName((await gateway.status('?tags=0')).devices);
  const begun = performance.now();
  await sleep(time);
  const status = await gateway.status('?tags=0');
  const wanted = BLOCKS * (performance.now() - begun) / POLL_MS;
  for (const name of names) {
    const { requests, errors } = byName(status.devices)[name];
    const polls = requests - before[name].requests;
    assert.ok(polls >= 0.9 * wanted, `${name}: ${polls} polls, not ${wanted.toFixed(0)}; ${gateway.program.stderr}`);
    assert.deepEqual(errors, before[name].errors, `${name}: an error after the end`);
  }
}

test(`each fault ${TIMES} times: no crash, no wrong value, its counter, the full rate again within 2 s`, async (t) => {
  const lines = Object.fromEntries(Object.keys(FAULTS).map((fault) => [nameOf(fault), [BAD, GOOD]]));
  const mapping = encoded(lines, {
    poll: `${POLL_MS}ms`,
    connection: { response_timeout: `${TIMEOUT_MS}ms`, read_retries: 0, offline_after: 1000, backoff_min: '100ms',
      backoff_max: '100ms' },
  });
  // One module for all of them: what is in its twin is no wrong value either.
  mapping.modules = { plant: { devices: Object.keys(mapping.devices) } };
  const iot = await hub(t);
  const sim = await devices(t, mapping);
  await fillEncoded(sim, mapping);
  const gateway = await bridge(t, { hub: iot, devices: sim, mapping });
  await gateway.ready();
  await until(async () => (await gateway.status()).tags.every((tag) => tag.quality === 'good'), { what: 'all values' });
  const first = usage(gateway.program.pid);
  const before = byName((await gateway.status('?tags=0')).devices);
  const watching = watch(t, gateway, mapping);

  for (let times = TIMES_A_ROUND; times <= TIMES; times += TIMES_A_ROUND) {
    for (const fault of Object.keys(FAULTS)) await sim.unit(`${nameOf(fault)}-${BAD}`, `${fault} ${TIMES_A_ROUND}`);
    for (const fault of Object.keys(FAULTS))
      await until(async () => (await counts(sim, `${nameOf(fault)}-${BAD}`)).faulty === times,
        { timeout: 10000 + TIMES * 1000, every: 100, what: `${times} times ${fault}` });
    if (times < TIMES) await sleep(1500);
  }
  const ended = performance.now();
  await sleep(1500);
  t.diagnostic(`the last fault is ${(performance.now() - ended).toFixed(0)} ms ago`);
  const status = await gateway.status('?tags=0');
  await fullRate(gateway, sim, mapping);

  assert.deepEqual(await watching.stop(), [], 'wrong values');
  const plant = await iot.reported('gateway-01', 'plant');
  for (const [name, { unit_id: unit }] of Object.entries(mapping.devices))
    for (const [tag, { address }] of Object.entries(mapping.templates.encoded.tags))
      assert.equal(plant[name][tag], valueAt(unit, address), `${name}.${tag} in the twin`);

  const after = byName(status.devices);
  const connections = byName(status.connections);
  for (const [fault, want] of Object.entries(FAULTS)) {
    const line = nameOf(fault);
    const bad = `${line}-${BAD}`;
    for (const cause of ['timeout', 'crc', 'exception', 'late', 'other']) {
      const counted = after[bad].errors[cause] - before[bad].errors[cause];
      const [least, most] = (want[cause] ?? NONE).map((times) => times * TIMES);
      assert.ok(counted >= least && !(counted > most), // NaN: no limit
        `${fault}: ${cause} is ${counted}, wanted ${least} to ${most}; ${JSON.stringify(after[bad].errors)}`);
    }
    if (want.together)
      assert.equal(after[bad].errors.timeout + after[bad].errors.other - before[bad].errors.timeout -
        before[bad].errors.other, TIMES, `${fault}: time-outs and other errors`);
    const { reconnects } = connections[line];
    if (want.lost !== 'perhaps') assert.equal(reconnects, want.lost ? TIMES : 0, `${fault}: lost connections`);
    else assert.ok(reconnects <= TIMES, `${fault}: ${reconnects} lost connections`);
    if (want.meets !== 'anybody')
      assert.deepEqual(after[`${line}-${GOOD}`].errors, before[`${line}-${GOOD}`].errors, `${fault}: its neighbour`);
  }
  const said = gateway.program.stderr.split('\n').filter((line) => / (warn|error) /.test(line));
  assert.ok(said.length <= 3 * Object.keys(FAULTS).length, `said once each, not each time: ${said.join('\n')}`);
  const last = usage(gateway.program.pid);
  t.diagnostic(`at first ${JSON.stringify(first)}, at last ${JSON.stringify(last)}`);
  assert.ok(last.fds <= first.fds, `${last.fds} descriptors, ${first.fds} at first`);
});

test('a peer that closes after every number of bytes: each costs one request and one connection', async (t) => {
  const mapping = encoded({ line: [BAD, GOOD] }, {
    poll: `${POLL_MS}ms`,
    connection: { response_timeout: '500ms', read_retries: 0, offline_after: 1000, backoff_min: '100ms', backoff_max: '100ms' },
    modules: {},
  });
  const length = 9 + 2 * Object.keys(mapping.templates.encoded.tags).length / BLOCKS;
  const rounds = process.env.TWINBRIDGE_LONG === '1' ? 40 : 1;
  const sim = await devices(t, mapping);
  await fillEncoded(sim, mapping);
  const gateway = await bridge(t, { hub: { host: 'localhost', port: 1 }, devices: sim, mapping, provision: false });
  await until(async () => (await gateway.status()).tags.every((tag) => tag.quality === 'good'), { what: 'all values' });
  const watching = watch(t, gateway, mapping);

  for (let round = 0, times = 1; round < rounds; round++)
    for (let at = 0; at < length; at++, times++) {
      await sim.unit(BAD, `wire close-at ${at} 1`);
      await until(async () => (await counts(sim, `line-${BAD}`)).faulty === times, { what: `the end after ${at} bytes` });
    }
  await sleep(500);

  const status = await gateway.status();
  const [bad, good] = [BAD, GOOD].map((unit) => byName(status.devices)[`line-${unit}`].errors);
  assert.deepEqual(bad, { timeout: 0, crc: 0, exception: 0, late: 0, other: rounds * length });
  assert.deepEqual(good, { timeout: 0, crc: 0, exception: 0, late: 0, other: 0 });
  assert.equal(status.connections[0].reconnects, rounds * length);
  await fullRate(gateway, sim, mapping);
  assert.deepEqual(await watching.stop(), [], 'wrong values');
});
