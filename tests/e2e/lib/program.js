// A program under test: started, watched line by line, ended by its process id, and checked at its end.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '../../..');

/** The folder of the built programs: build/dev/bin, or TWINBRIDGE_BIN. */
export const binaries = process.env.TWINBRIDGE_BIN ?? path.join(root, 'build/dev/bin');

/** The root of the repository. */
export const repository = root;

const SANITIZER = /ERROR: (Address|Leak)Sanitizer|runtime error:|SUMMARY: \w+Sanitizer/;

const stacks = new WeakMap();

/** Calls `undo` when the test is over, the last given first; the first failure of any fails the test. */
export function cleanup(t, undo) {
  if (!stacks.has(t)) {
    const stack = [];
    stacks.set(t, stack);
    t.after(async () => {
      let failure;
      for (const step of stack.reverse()) {
        try {
          await step();
        } catch (error) {
          failure ??= error;
        }
      }
      if (failure) throw failure;
    });
  }
  stacks.get(t).push(undo);
}

/** A folder of the test's own, gone when the test is over (kept when TWINBRIDGE_KEEP is set). */
export function folder(t) {
  const made = fs.mkdtempSync(path.join(os.tmpdir(), 'twinbridge-'));
  cleanup(t, () => {
    if (process.env.TWINBRIDGE_KEEP) t.diagnostic(`kept ${made}`);
    else fs.rmSync(made, { recursive: true, force: true });
  });
  return made;
}

/** The test's environment without what would lead its traffic off the loopback or sign it in elsewhere. */
export function environment(extra = {}) {
  const env = { ...process.env };
  for (const name of Object.keys(env)) {
    if (/_proxy$/i.test(name) || /^(IOTHUB_|AZURE_|IDENTITY_|IMDS_|MSI_|IOTEDGE_|STATE_DIRECTORY|CREDENTIALS_DIRECTORY)/.test(name))
      delete env[name];
  }
  return { ...env, ASAN_OPTIONS: 'abort_on_error=0:detect_leaks=1', ...extra };
}

export class Program {
  #exited;
  #waiting = new Set();

  /**
   * Starts `command` (a name in the folder of built programs, or a path) and ends it with the test `t`:
   * a program that still runs then is stopped and must exit with 0. `input` is its standard input.
   */
  constructor(t, command, args = [], { env = {}, cwd, input = '', name = path.basename(command) } = {}) {
    const file = command.includes('/') ? command : path.join(binaries, command);
    this.name = name;
    this.stdout = '';
    this.stderr = '';
    this.exit = null; // { code, signal } when it has ended
    // The kernel ends it when this process dies, so that no run leaves a program behind.
    this.process = spawn('/usr/bin/setpriv', ['--pdeathsig', 'KILL', '--', file, ...args], {
      cwd,
      env: environment(env),
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.process.stdin.on('error', () => {});
    this.process.stdin.end(input);
    for (const stream of ['stdout', 'stderr']) {
      this.process[stream].setEncoding('utf8');
      this.process[stream].on('data', (text) => {
        this[stream] += text;
        this.#wake();
      });
    }
    this.#exited = new Promise((resolve) => {
      this.process.on('error', (error) => {
        this.exit ??= { code: null, signal: error.message };
        this.#wake();
        resolve(this.exit);
      });
      this.process.on('close', (code, signal) => {
        this.exit ??= { code, signal };
        this.#wake();
        resolve(this.exit);
      });
    });
    cleanup(t, () => this.end());
  }

  get pid() {
    return this.process.pid;
  }

  /** Everything that it said, for a message. */
  get said() {
    return `${this.name} said:\n${this.stdout}${this.stderr}`;
  }

  #wake() {
    for (const check of this.#waiting) check();
  }

  /** The match of the first line of its output (either stream) that `pattern` matches; waits for it. */
  async line(pattern, timeout = 20000) {
    const find = () => this.stdout.match(pattern) ?? this.stderr.match(pattern);
    return await new Promise((resolve, reject) => {
      const finish = (result) => {
        clearTimeout(timer);
        this.#waiting.delete(check);
        result instanceof Error ? reject(result) : resolve(result);
      };
      const check = () => {
        const match = find();
        if (match) finish(match);
        else if (this.exit)
          finish(new Error(`${this.name} ended (${JSON.stringify(this.exit)}) before ${pattern}; ${this.said}`));
      };
      const timer = setTimeout(
        () => finish(new Error(`no ${pattern} within ${timeout} ms; ${this.said}`)), timeout);
      this.#waiting.add(check);
      check();
    });
  }

  /** Waits for the end that comes by itself; gives { code, signal }. */
  async ended(timeout = 20000) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`still runs after ${timeout} ms; ${this.said}`)), timeout);
    });
    try {
      return await Promise.race([this.#exited, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Sends a signal to it, and to nobody else. */
  signal(name) {
    if (!this.exit) process.kill(this.pid, name);
  }

  /** SIGTERM; it must exit with `code` within `timeout` ms and no sanitizer may have complained. */
  async stop({ timeout = 10000, code = 0 } = {}) {
    this.signal('SIGTERM');
    const exit = await this.ended(timeout).catch(async (error) => {
      this.signal('SIGKILL');
      await this.#exited;
      throw error;
    });
    this.check();
    if (exit.code !== code)
      throw new Error(`${this.name} ended with ${JSON.stringify(exit)}, not with ${code}; ${this.said}`);
  }

  /** SIGKILL: as when the power fails. */
  async kill() {
    this.signal('SIGKILL');
    await this.#exited;
    this.check();
  }

  /** Throws when a sanitizer said something. */
  check() {
    if (SANITIZER.test(this.stderr)) throw new Error(`a sanitizer complains; ${this.said}`);
  }

  /** The end of the test: what runs is stopped; what has ended is checked. */
  async end() {
    if (this.exit) this.check();
    else await this.stop();
  }
}

/** Runs a program to its end; gives { code, signal, stdout, stderr }. */
export async function run(t, command, args = [], { timeout = 30000, ...options } = {}) {
  const program = new Program(t, command, args, options);
  const exit = await program.ended(timeout);
  program.check();
  return { ...exit, stdout: program.stdout, stderr: program.stderr };
}
