// The bridge between a hub and devices, on a mapping of the test's.

import fs from 'node:fs';
import path from 'node:path';

import { Program, binaries, folder, run } from './program.js';
import { until } from './until.js';

class Bridge {
  #t;

  constructor(t, dir, file) {
    this.#t = t;
    this.folder = dir;
    this.file = file;
  }

  /**
   * Starts it on the mapping; resolves when its status page listens, not when its modules are ready.
   * `within` is a command that becomes the bridge: it is given the bridge's command line behind its own.
   */
  async start({ env, args = [], within = [] } = {}) {
    const [command, ...rest] = [...within, path.join(binaries, 'twinbridge'), 'run', ...args, this.file];
    this.program = new Program(this.#t, command, rest, { env, name: 'twinbridge' });
    this.url = (await this.program.line(/status page at (http:\/\/[^/\s]+)\//))[1];
    return this;
  }

  stop(options) {
    return this.program.stop(options);
  }

  kill() {
    return this.program.kill();
  }

  get mapping() {
    return JSON.parse(fs.readFileSync(this.file, 'utf8'));
  }

  /** Rewrites the mapping file; the bridge reads it at its next start. */
  change(edit) {
    const { mapping } = this;
    edit(mapping);
    fs.writeFileSync(this.file, JSON.stringify(mapping, null, 2));
  }

  /** The file of a module's credential. */
  credential(module) {
    return path.join(this.folder, 'credentials', module);
  }

  /** A page of the status server as text, with its HTTP status. */
  async page(where) {
    const response = await fetch(this.url + where, { signal: AbortSignal.timeout(5000) });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** The status document. */
  async status(query = '') {
    const { status, text } = await this.page(`/api/status${query}`);
    if (status !== 200) throw new Error(`/api/status: ${status} ${text}`);
    return JSON.parse(text);
  }

  async #entry(list, match) {
    return (await this.status())[list].find(match);
  }

  module(name) {
    return this.#entry('modules', (entry) => entry.name === name);
  }

  device(name) {
    return this.#entry('devices', (entry) => entry.name === name);
  }

  tag(device, tag) {
    return this.#entry('tags', (entry) => entry.device === device && entry.tag === tag);
  }

  /** Waits until these modules (all when none is named) are in `state`. */
  async reaches(state, modules, timeout = 20000) {
    await until(async () => {
      const all = (await this.status()).modules;
      const wanted = modules ?? all.map((entry) => entry.name);
      return wanted.every((name) => all.find((entry) => entry.name === name)?.state === state);
    }, { timeout, what: `modules ${modules ?? '(all)'} ${state}; ${this.program.said}` });
    return this;
  }

  ready(modules, timeout) {
    return this.reaches('ready', modules, timeout);
  }
}

/**
 * Writes the mapping file, makes modules and credentials with twinctl provision, and starts the bridge.
 * `hub` fills in where the hub is, `devices` (a result of devices()) or `ports` ({ connection: port })
 * where the connections lead. `mapping` is in the form of the mapping file; what it says itself stays.
 * With `start: false` nothing is started, with `provision: false` no credentials are made.
 */
export async function bridge(t, { hub, devices, ports = devices?.ports ?? {}, mapping, start = true,
  provision = true, env, args } = {}) {
  const dir = folder(t);
  const file = path.join(dir, 'mapping.json');
  const whole = structuredClone(mapping);
  whole.hub = { host_name: hub?.host, port: hub?.port, ca_file: hub?.caFile, device_id: 'gateway-01',
    credentials: path.join(dir, 'credentials'), ...mapping.hub };
  whole.status ??= { listen: '127.0.0.1:0' };
  whole.state ??= path.join(dir, 'state');
  for (const [name, port] of Object.entries(ports)) {
    whole.connections[name].host = '127.0.0.1';
    whole.connections[name].port = port;
  }
  fs.writeFileSync(file, JSON.stringify(whole, null, 2));
  if (provision) {
    const made = await run(t, 'twinctl', ['provision', file, ...hub.signIn().slice(0, 2)]);
    if (made.code !== 0) throw new Error(`twinctl provision: ${made.code}\n${made.stdout}${made.stderr}`);
  }
  const made = new Bridge(t, dir, file);
  return start ? await made.start({ env, args }) : made;
}
