// Programs of the benchmark, each on the core that it belongs to.

import { execFileSync } from 'node:child_process';
import path from 'node:path';

import { Program, binaries } from '../../e2e/lib/program.js';

/** Moves a running process with all its threads to a core. */
export function pin(pid, core) {
  execFileSync('/usr/bin/taskset', ['--all-tasks', '--cpu-list', '--pid', String(core), String(pid)],
    { stdio: 'ignore' });
}

/** Starts a built program on a core. */
export function pinned(t, core, command, args) {
  return new Program(t, '/usr/bin/taskset',
    ['--cpu-list', String(core), path.join(binaries, command), ...args], { name: command });
}

/** The devices: one process that answers every read on any number of connections; `port` is where. */
export async function devices(t, core, args = []) {
  const program = pinned(t, core, 'bench_device', args);
  program.port = Number((await program.line(/^listening (\d+)$/m))[1]);
  return program;
}
