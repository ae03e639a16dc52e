// Our adapter beside a raw client and libmodbus: the same requests to the same devices, in turns.

import { within } from './context.js';
import { busyUs, cpuUs, median, quiet } from './machine.js';
import { devices, pinned } from './programs.js';

const DISTURBED = 0.08; // share of the machine that others had: such a round is measured again
const TRIES = 3; // rounds at most, for each one wanted
const PATIENCE_MS = 180000; // spent on waiting for others to finish, in all

/** One run of a client. `others` is the share of two cores that went to neither it nor the devices. */
async function measure({ t, cores, server, args, patience }, client) {
  await quiet(patience);
  const start = { wall: performance.now(), busy: busyUs(), server: cpuUs(server.pid) };
  const program = pinned(t, cores.client, client.program,
    ['--port', String(server.port), ...args, ...client.args]);
  const exit = await program.ended(120000);
  if (exit.code !== 0) throw new Error(`${client.name} ended with ${JSON.stringify(exit)}; ${program.said}`);
  const wallUs = (performance.now() - start.wall) * 1000;
  const result = JSON.parse(program.stdout);
  const own = result.process_cpu_us + cpuUs(server.pid) - start.server;
  return {
    us: result.cpu_us / result.transactions,
    rate: result.transactions / result.seconds,
    share: result.cpu_us / 1e6 / result.seconds,
    rss: result.rss_kb * 1024,
    failures: result.failures,
    others: Math.max(0, (busyUs() - start.busy - own) / (2 * wallUs)),
  };
}

/** One run of every client; the order turns with the rounds, so that none is always the first. */
async function round(setting, clients, number) {
  const results = {};
  for (let i = 0; i < clients.length; i++) {
    const client = clients[(i + number) % clients.length];
    results[client.name] = await measure(setting, client);
  }
  return { results, others: Math.max(...Object.values(results).map((result) => result.others)) };
}

function summary(rounds, name, reference) {
  const of = (key) => median(rounds.map(({ results }) => results[name][key]));
  return {
    us: of('us'), rate: of('rate'), share: of('share'), rss: of('rss'),
    failures: rounds.reduce((sum, { results }) => sum + results[name].failures, 0),
    ratio: median(rounds.map(({ results }) => results[name].us / results[reference].us)),
  };
}

/**
 * Measures `clients` in `wanted` rounds with the same arguments. Gives a summary of each by name, medians,
 * with its ratio to the first one (of the same round), and how many rounds others disturbed.
 */
export async function compare(cores, clients, args, wanted) {
  return await within(async (t) => {
    const setting = { t, cores, server: await devices(t, cores.peer), args, patience: { ms: PATIENCE_MS } };
    const rounds = [];
    const clean = () => rounds.filter(({ others }) => others < DISTURBED);
    while (clean().length < wanted && rounds.length < wanted * TRIES) {
      rounds.push(await round(setting, clients, rounds.length));
      process.stderr.write(rounds.at(-1).others < DISTURBED ? '.' : 'x');
    }
    const used = rounds.sort((a, b) => a.others - b.others).slice(0, wanted);
    return {
      clients: Object.fromEntries(clients.map(({ name }) => [name, summary(used, name, clients[0].name)])),
      rounds: used.length,
      repeated: rounds.length - used.length,
      others: Math.max(...used.map(({ others }) => others)),
      disturbed: clean().length < wanted,
      each: used.map(({ results }) => results),
    };
  });
}

/** Ratio of two clients, median over the rounds. */
export function ratio(comparison, name, to) {
  return median(comparison.each.map((results) => results[name].us / results[to].us));
}
