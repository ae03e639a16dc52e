// The benchmark: see tests/bench/run. Each section gives what it measured, what it prints of it, and the
// targets that it holds or misses.

import fs from 'node:fs';
import { parseArgs } from 'node:util';

import { bytes, work } from './lib/bridges.js';
import { compare, ratio } from './lib/clients.js';
import { connections } from './lib/connections.js';
import { description, twoCores } from './lib/machine.js';
import { table } from './lib/table.js';

const RAW = { name: 'raw epoll', program: 'bench_raw', args: [] };
const ADAPTER = { name: 'adapter, polling', program: 'bench_adapter', args: [] };
const READS = { name: 'adapter, read on read_done', program: 'bench_adapter', args: ['--reads'] };
const LIBMODBUS = { name: 'libmodbus, a thread each', program: 'bench_libmodbus', args: [] };

const MB = 1024 * 1024;
const fixed = (number, digits = 2) => number.toFixed(digits);
const percent = (share) => `${fixed(share * 100, 1)} %`;
const atMost = (what, value, limit, disturbed = false) =>
  ({ what, value, limit, held: value <= limit, disturbed });

function clientRows(comparison) {
  return Object.entries(comparison.clients).map(([name, client]) =>
    [name, fixed(client.us), fixed(client.ratio), fixed(client.rate, 0), percent(client.share),
      fixed(client.rss / MB, 1), client.failures]);
}

function clientTable(title, comparison) {
  const { rounds, repeated, others } = comparison;
  return table(`${title}\nmedians of ${rounds} rounds, ${repeated} measured again; others had at most ` +
    `${percent(others)} of the machine`,
    ['client', 'us/transaction', 'x raw', 'transactions/s', 'of a core', 'RSS MB', 'failures'],
    clientRows(comparison));
}

async function transaction({ cores, quick }) {
  const args = ['--connections', '256', '--registers', '10', '--warm-up', '0.5',
    '--seconds', quick ? '0.7' : '1.5'];
  const comparison = await compare(cores, [RAW, ADAPTER, READS, LIBMODBUS], args, quick ? 3 : 7);
  return {
    result: comparison,
    text: clientTable('CPU per transaction: 256 connections, one request outstanding each, 10 registers',
      comparison),
    targets: [
      atMost('adapter / raw, CPU per transaction', ratio(comparison, ADAPTER.name, RAW.name), 1.25,
        comparison.disturbed),
      atMost('adapter / libmodbus, CPU per transaction',
        ratio(comparison, ADAPTER.name, LIBMODBUS.name), 0.45, comparison.disturbed),
    ],
  };
}

async function steady({ cores, quick }) {
  const args = ['--connections', '1000', '--registers', '100', '--per-second', '10', '--warm-up', '1.5',
    '--seconds', quick ? '2' : '4'];
  const comparison = await compare(cores, [RAW, ADAPTER, LIBMODBUS], args, quick ? 3 : 5);
  return {
    result: comparison,
    text: clientTable('steady polling: 1,000 connections, 10 reads of 100 registers a second each, ' +
      'on a grain of 10 ms', comparison),
    targets: [atMost('adapter / raw, steady polling', ratio(comparison, ADAPTER.name, RAW.name), 1.5,
      comparison.disturbed)],
  };
}

/** What one more of something costs: the whole bridge with so many and with twice as many. */
async function memory({ cores }) {
  const base = await bytes(cores, { devices: 200, tags: 50 });
  const tag = (await bytes(cores, { devices: 200, tags: 100 }) - base) / (200 * 50);
  const device = (await bytes(cores, { devices: 400, tags: 50 }) - base) / 200 - 50 * tag;
  const few = await bytes(cores, { devices: 100, tags: 10, modules: 50 });
  const module = (await bytes(cores, { devices: 100, tags: 10, modules: 100 }) - few) / 50;
  const result = { base, tag, device, module };
  return {
    result,
    text: table('memory of twinbridge (Pss), from a number of each and twice as many', ['one more', 'bytes'], [
      ['tag', fixed(tag, 0)],
      ['device with its connection', fixed(device, 0)],
      ['module with its link to the hub', fixed(module, 0)],
      ['in all: 200 devices, 10,000 tags', fixed(base, 0)],
    ]),
    targets: [],
  };
}

/** 50 modules, each with a tag that is another at every poll; and the same that never changes. */
async function patch({ cores, quick }) {
  const size = { devices: 50, tags: 1, modules: 50, interval: '10ms' };
  const seconds = quick ? 3 : 10;
  const moving = await work(cores, size, seconds, true);
  const still = await work(cores, size, seconds, false);
  const poll = still.us / still.polls;
  const whole = moving.us / moving.patches;
  const net = (moving.us - moving.polls * poll) / moving.patches;
  return {
    result: { moving, still, us_per_poll: poll, us_per_patch: whole, us_per_patch_without_polls: net },
    text: table('CPU of twinbridge per reported patch: 50 modules, a tag each that changes at every poll',
      ['', 'us', 'a second'], [
        ['patch, with all polls', fixed(whole), fixed(moving.patches / moving.seconds, 0)],
        ['patch, without what polling alone costs', fixed(net), ''],
        ['poll', fixed(poll), fixed(still.polls / still.seconds, 0)],
      ]),
    targets: [{ ...atMost('patch without polls, us (an aim)', net, 10), aim: true }],
  };
}

async function many() {
  const result = await connections();
  const { offline, bad, old, failed } = result;
  return {
    result,
    text: table('1,100 connections in one process, ten tags each, every second, to two libmodbus processes',
      ['', ''], [
        ['connected', result.connections],
        ['all online after', `${fixed(result.online_after_s)} s`],
        ['devices not online, tags not good, tags not fresh, requests failed',
          [offline, bad, old, failed].join(', ')],
        ['descriptors', result.descriptors],
        ['polls a second', fixed(result.polls_per_s, 0)],
        ['CPU', percent(result.cpu_share)],
        ['memory (Pss)', `${fixed(result.bytes / MB, 1)} MB`],
      ]),
    targets: [atMost('1,100 connections: devices and tags not as they should be', offline + bad + old, 0)],
  };
}

const sections = { transaction, steady, memory, patch, connections: many };

function word({ held, aim, disturbed }) {
  const said = held ? 'held' : aim ? 'not yet' : 'MISSED';
  return disturbed ? `${said}, but others wanted the machine too: measure again` : said;
}

function verdict(targets) {
  return table('targets', ['', 'measured', 'at most', ''],
    targets.map((target) => [target.what, fixed(target.value), target.limit, word(target)]));
}

async function measureAll(names, quick) {
  const report = { machine: description(), quick, time: new Date().toISOString(), targets: [] };
  const cores = twoCores();
  for (const name of names) {
    process.stderr.write(`${name} `);
    const { result, text, targets } = await sections[name]({ cores, quick });
    process.stderr.write('\n');
    console.log(text);
    report[name] = result;
    report.targets.push(...targets);
  }
  console.log(verdict(report.targets));
  return report;
}

const { values, positionals } = parseArgs({
  options: { json: { type: 'string' }, quick: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const unknown = positionals.find((name) => !(name in sections));
if (unknown !== undefined) {
  console.error(`tests/bench/run: no section '${unknown}'; there are ${Object.keys(sections).join(', ')}`);
  process.exit(64);
}

try {
  const names = positionals.length > 0 ? positionals : Object.keys(sections);
  const report = await measureAll(names, values.quick);
  if (values.json !== undefined) fs.writeFileSync(values.json, JSON.stringify(report, null, 2) + '\n');
  process.exitCode = report.targets.every(({ held, aim }) => held || aim) ? 0 : 1;
} catch (error) {
  console.error(`tests/bench/run: ${error.stack ?? error}`);
  process.exitCode = 70;
}
