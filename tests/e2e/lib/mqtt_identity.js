// A device or a module as a bare MQTT client over WebSockets (npm's mqtt), for tests that look at single
// packets: twin gets and reported patches with their statuses, nothing repeated, nothing hidden.

import crypto from 'node:crypto';

import { cleanup } from './program.js';
import { parts, token } from './hub.js';

const TIMEOUT = 20000;

async function load() {
  try {
    return (await import('mqtt')).default;
  } catch (error) {
    throw new Error(`mqtt: run deploy/setup, which installs the packages of these tests (${error.message})`);
  }
}

class Identity {
  #client;
  #waiting = new Map(); // by request id: { resolve, reject }

  constructor(client) {
    this.#client = client;
    this.desired = []; // patches that came, { version, body }
    client.on('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the connection is closed'));
      this.#waiting.clear();
    });
    client.on('message', (topic, payload) => this.#take(topic, payload.toString('utf8')));
  }

  #take(topic, text) {
    const [, status] = topic.match(/^\$iothub\/twin\/res\/(\d+)\//) ?? [];
    const query = new URLSearchParams(topic.slice(topic.indexOf('?') + 1));
    const body = text === '' ? undefined : JSON.parse(text);
    if (status === undefined) {
      this.desired.push({ version: Number(query.get('$version')), body });
      return;
    }
    const version = query.has('$version') ? Number(query.get('$version')) : undefined;
    this.#waiting.get(query.get('$rid'))?.resolve({ status: Number(status), version, body });
    this.#waiting.delete(query.get('$rid'));
  }

  #ask(topic, payload) {
    const rid = crypto.randomUUID();
    return new Promise((resolve, reject) => {
      const over = (settle) => (value) => {
        clearTimeout(timer);
        settle(value);
      };
      const timer = setTimeout(() => reject(new Error(`${topic}: no answer in ${TIMEOUT} ms`)), TIMEOUT);
      this.#waiting.set(rid, { resolve: over(resolve), reject: over(reject) });
      if (!this.#client.connected) this.#waiting.get(rid).reject(new Error('the connection is closed'));
      this.#client.publish(`${topic}/?$rid=${rid}`, payload, { qos: 0 });
    });
  }

  /** The twin: { status, body: { desired, reported } }. */
  get() {
    return this.#ask('$iothub/twin/GET', '');
  }

  /** A reported patch, an object or a text as it stands: { status, version, body }. */
  report(patch) {
    return this.#ask('$iothub/twin/PATCH/properties/reported', typeof patch === 'string' ? patch : JSON.stringify(patch));
  }

  /** Ends the connection, without waiting for a word of the hub's. */
  close() {
    return new Promise((resolve) => this.#client.end(true, {}, () => resolve()));
  }
}

/** Connects the identity of a connection string, and subscribes to twin answers and desired patches. */
export async function mqttIdentity(t, iot, connectionString) {
  const mqtt = await load();
  const { HostName, DeviceId, ModuleId, SharedAccessKey } = parts(connectionString);
  const name = ModuleId === undefined ? DeviceId : `${DeviceId}/${ModuleId}`;
  const resource = `${HostName}/devices/${DeviceId}${ModuleId === undefined ? '' : `/modules/${ModuleId}`}`;
  const client = mqtt.connect(`wss://127.0.0.1:${iot.port}/$iothub/websocket`, {
    clientId: name,
    username: `${HostName}/${name}/?api-version=2021-04-12`,
    password: token(resource, SharedAccessKey),
    protocolId: 'MQTT',
    protocolVersion: 4,
    clean: false,
    reconnectPeriod: 0,
    connectTimeout: TIMEOUT,
    wsOptions: { ca: iot.ca, servername: iot.host, perMessageDeflate: false },
  });
  await new Promise((resolve, reject) => {
    client.once('connect', resolve);
    client.once('error', reject);
    client.once('close', () => reject(new Error(`${name}: closed before CONNACK`)));
  });
  client.on('error', () => {}); // the hub may be killed: requests then time out
  const made = new Identity(client);
  cleanup(t, () => made.close());
  await new Promise((resolve, reject) => client.subscribe(
    ['$iothub/twin/res/#', '$iothub/twin/PATCH/properties/desired/#'], { qos: 0 },
    (error) => (error ? reject(error) : resolve())));
  return made;
}
