// Devices for the bridge: modbussim (libmodbus) or pymodbus, both none of our own making on the wire.

import fs from 'node:fs';
import path from 'node:path';

import { control } from './lines.js';
import { Program, folder, repository } from './program.js';

class Simulated {
  #t;
  #lines;
  #args;

  constructor(t, file, names, args) {
    this.#t = t;
    this.#args = args;
    this.file = file;
    this.ports = Object.fromEntries(names.map((name) => [name, 0]));
  }

  async start() {
    const moves = Object.entries(this.ports).flatMap(
      ([name, port]) => ['--connection', name, '--listen', `127.0.0.1:${port}`]);
    this.program = new Program(this.#t, 'modbussim',
      [this.file, ...moves, '--control', '127.0.0.1:0', ...this.#args]);
    await this.program.line(/^ready$/m);
    for (const [, name, port] of this.program.stdout.matchAll(/^listening (\S+) .*:(\d+)$/gm))
      this.ports[name] = Number(port);
    this.#lines = await control(this.#t, Number(this.program.stdout.match(/^control .*:(\d+)$/m)[1]));
    return this;
  }

  stop(options) {
    return this.program.stop(options);
  }

  kill() {
    return this.program.kill();
  }

  /** One line to the control address; gives what stands behind "ok", throws on "error". */
  async command(line) {
    const answer = await this.#lines.ask(line);
    if (!answer.startsWith('ok')) throw new Error(`${line}: ${answer}`);
    return answer.slice(3);
  }

  /** The value of "DEVICE.TAG" in the device's registers. */
  async get(tag) {
    return JSON.parse(await this.command(`get ${tag}`));
  }

  /** Changes the registers of "DEVICE.TAG", as somebody at the device does. */
  set(tag, value) {
    return this.command(`set ${tag} ${value}`);
  }

  /** Lets a unit (by number or device name) be silent, or answer again. */
  unit(which, what) {
    return this.command(`unit ${which} ${what}`);
  }
}

/**
 * Starts modbussim for a mapping (an object in the form of the mapping file) with every connection at a
 * port of its own; `ports` has them by name. Values stand still unless `moving`. start() after kill()
 * brings it back at the same ports.
 */
export async function devices(t, mapping, { moving = false } = {}) {
  const file = path.join(folder(t), 'devices.json');
  fs.writeFileSync(file, JSON.stringify(mapping));
  return await new Simulated(t, file, Object.keys(mapping.connections), moving ? [] : ['--still']).start();
}

class Pymodbus {
  #t;
  #lines;
  #units;
  #orders = []; // what was put into the registers, for the next start

  constructor(t, units) {
    this.#t = t;
    this.#units = units;
    this.port = 0;
  }

  async start() {
    this.program = new Program(this.#t, '/usr/bin/python3',
      [path.join(repository, 'tests/e2e/lib/pymodbus_server.py'),
        '--port', String(this.port), '--units', this.#units.join(',')],
      { name: 'pymodbus', input: JSON.stringify(this.#orders) });
    await this.program.line(/^ready$/m);
    this.port = Number(this.program.stdout.match(/^listening .*:(\d+)$/m)[1]);
    this.#lines = await control(this.#t, Number(this.program.stdout.match(/^control .*:(\d+)$/m)[1]));
    return this;
  }

  stop(options) {
    return this.program.stop(options);
  }

  kill() {
    return this.program.kill();
  }

  async command(order) {
    const answer = JSON.parse(await this.#lines.ask(JSON.stringify(order)));
    if (answer.error !== undefined) throw new Error(`${JSON.stringify(order)}: ${answer.error}`);
    return answer.ok;
  }

  /** Puts words (or bits) there, making the addresses exist; others answer exception 2. */
  set(unit, table, address, values) {
    const order = { do: 'set', unit, table, address, values: [values].flat() };
    const at = this.#orders.findIndex((old) => old.unit === unit && old.table === table && old.address === address);
    if (at >= 0) this.#orders.splice(at, 1);
    this.#orders.push(order);
    return this.command(order);
  }

  get(unit, table, address, count = 1) {
    return this.command({ do: 'get', unit, table, address, count });
  }

  /** All that clients wrote since the start, in order: { unit, function, address, values }. */
  writes() {
    return this.command({ do: 'writes' });
  }

  /** When each of writes() came, in milliseconds since 1970. */
  writeTimes() {
    return this.command({ do: 'write_times' });
  }

  /** All that clients asked since the start, in order: { unit, function, address, count }. */
  reads() {
    return this.command({ do: 'reads' });
  }

  /** From now on the address accepts what clients write there and keeps what it has. */
  stuck(unit, table, address) {
    return this.command({ do: 'stuck', unit, table, address });
  }

  /** Whether a unit answers. */
  silent(unit, silent) {
    return this.command({ do: 'silent', unit, silent });
  }

  /** Hangs up on all clients. */
  drop() {
    return this.command({ do: 'drop' });
  }
}

/**
 * Starts a pymodbus server with these unit ids and empty registers. start() after kill() brings it back at
 * the same port, with what set() had put there and without what clients wrote.
 */
export async function pymodbus(t, { units = [1] } = {}) {
  return await new Pymodbus(t, units).start();
}
