// hubsim as a test sees it: a hub to start, kill and start again, and its REST side.

import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';

import { control } from './lines.js';
import { Program, folder } from './program.js';

/** A shared access signature for `resource` that ends in `lifetime` seconds. */
export function token(resource, key, { policy, lifetime = 3600 } = {}) {
  const sr = encodeURIComponent(resource);
  const se = Math.floor(Date.now() / 1000) + lifetime;
  const sig = crypto.createHmac('sha256', Buffer.from(key, 'base64')).update(`${sr}\n${se}`).digest('base64');
  return `SharedAccessSignature sr=${sr}&sig=${encodeURIComponent(sig)}&se=${se}` +
    (policy ? `&skn=${policy}` : '');
}

/** The parts of a connection string. */
export function parts(connectionString) {
  return Object.fromEntries(connectionString.trim().split(';').map((part) => {
    const at = part.indexOf('=');
    return [part.slice(0, at), part.slice(at + 1)];
  }));
}

class Hub {
  #t;
  #args;
  #lines;

  constructor(t, dir, { args, listen, port }) {
    this.#t = t;
    this.#args = [...args, '--listen', listen];
    this.folder = dir;
    this.state = path.join(dir, 'hub.db');
    this.address = listen;
    this.port = port; // 0 is the system's choice at first, the same again afterwards
  }

  async start() {
    this.program = new Program(this.#t, 'hubsim',
      ['--state', this.state, '--port', String(this.port), ...this.#args]);
    const ready = await this.program.line(/^ready https:\/\/(.*):(\d+)$/m);
    this.host = ready[1];
    this.port = Number(ready[2]);
    this.caFile = this.program.stdout.match(/^ca (.*)$/m)[1];
    this.ca = fs.readFileSync(this.caFile, 'utf8');
    this.policies = {};
    for (const [, name, text] of this.program.stdout.matchAll(/^policy (\S+) (.*)$/gm))
      this.policies[name] = text;
    this.#lines = undefined;
    return this;
  }

  /** One line to the control address ("gateway-01/boiler-7 refuse 5"); gives what stands behind "ok". */
  async fault(line) {
    this.#lines ??= control(this.#t, Number(this.program.stdout.match(/^control .*:(\d+)$/m)[1]));
    const answer = await (await this.#lines).ask(line);
    if (!answer.startsWith('ok')) throw new Error(`${line}: ${answer}`);
    return answer.slice(3);
  }

  /** What the hub has counted of an identity, "device/module" or "*": { connects, gets, patches, ... }. */
  async seen(identity) {
    const counts = (await this.fault(`${identity} status`)).split(' ').map((pair) => pair.split('='));
    return Object.fromEntries(counts.map(([name, count]) => [name, Number(count)]));
  }

  stop(options) {
    return this.program.stop(options);
  }

  kill() {
    return this.program.kill();
  }

  /** The arguments that sign twinctl in. The connection string lies in a file of the hub's folder. */
  signIn(policy = 'iothubowner') {
    const file = path.join(this.folder, `policy-${policy}`);
    fs.writeFileSync(file, this.policies[policy] + '\n', { mode: 0o600 });
    return ['--hub-connection-string-file', file, '--port', String(this.port), '--ca-file', this.caFile];
  }

  /** The header that signs a policy in. */
  authorization(policy) {
    const { HostName, SharedAccessKey } = parts(this.policies[policy]);
    return token(HostName, SharedAccessKey, { policy });
  }

  /**
   * One REST request; gives { status, headers, body } with the body as JSON where it is JSON. `text` is a
   * request body as it stands; an `agent` keeps connections.
   */
  rest(method, resource, { body, text = body === undefined ? undefined : JSON.stringify(body), etag,
    policy = 'iothubowner', headers = {}, agent = false } = {}) {
    const { HostName } = parts(this.policies[policy]);
    return new Promise((resolve, reject) => {
      const request = https.request({
        method,
        host: this.address,
        port: this.port,
        ...(net.isIP(this.host) ? {} : { servername: this.host }),
        path: `${resource}${resource.includes('?') ? '&' : '?'}api-version=2021-04-12`,
        ca: this.ca,
        agent,
        timeout: 10000,
        headers: {
          Host: HostName,
          Authorization: this.authorization(policy),
          ...(text === undefined ? {} :
            { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': Buffer.byteLength(text) }),
          ...(etag === undefined ? {} : { 'If-Match': `"${etag}"` }),
          ...headers,
        },
      }, (response) => {
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const raw = Buffer.concat(chunks).toString('utf8');
          let parsed = raw;
          try {
            parsed = JSON.parse(raw);
          } catch {
            // not JSON: the caller gets the text
          }
          resolve({ status: response.statusCode, headers: response.headers, body: parsed });
        });
      });
      request.on('timeout', () => request.destroy(new Error(`${method} ${resource}: no answer in 10 s`)));
      request.on('error', reject);
      request.end(text);
    });
  }

  async #expect(method, resource, options) {
    const answer = await this.rest(method, resource, options);
    if (answer.status >= 300)
      throw new Error(`${method} ${resource}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /** The twin of a module, as the service side sees it. */
  twin(device, module) {
    return this.#expect('GET', `/twins/${encodeURIComponent(device)}/modules/${encodeURIComponent(module)}`);
  }

  /** The reported properties of a module without the hub's own entries. */
  async reported(device, module) {
    const { $metadata, $version, ...properties } = (await this.twin(device, module)).properties.reported;
    return properties;
  }

  /** Patches the desired properties of a module; gives the new twin. */
  desire(device, module, desired) {
    return this.#expect('PATCH',
      `/twins/${encodeURIComponent(device)}/modules/${encodeURIComponent(module)}`,
      { body: { properties: { desired } }, etag: '*' });
  }

  /** Creates a device, and a module when it is named; gives the module's (or device's) connection string. */
  async create(device, module) {
    const resources = [`/devices/${encodeURIComponent(device)}`];
    if (module !== undefined) resources.push(`${resources[0]}/modules/${encodeURIComponent(module)}`);
    let identity;
    for (const resource of resources) {
      const present = await this.rest('GET', resource);
      identity = present.status === 200 ? present.body : await this.#expect('PUT', resource, {
        body: { deviceId: device, ...(resource === resources[0] ? {} : { moduleId: module }) },
      });
    }
    return `HostName=${parts(this.policies.iothubowner).HostName};DeviceId=${device}` +
      (module === undefined ? '' : `;ModuleId=${module}`) +
      `;SharedAccessKey=${identity.authentication.symmetricKey.primaryKey}`;
  }
}

/**
 * Starts a hub. Its state outlives stop() and kill(); start() brings it back at the same port. With `faults`
 * it can be asked for them: fault() and seen().
 */
export async function hub(t, { args = [], faults = false, listen = '127.0.0.1', port = 0 } = {}) {
  const all = faults ? [...args, '--control', '127.0.0.1:0'] : args;
  return await new Hub(t, folder(t), { args: all, listen, port }).start();
}
