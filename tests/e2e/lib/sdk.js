// Microsoft's own SDKs, as npm has them, in front of a hubsim of the test's.
//
// They dial port 443 at the hub's name, and neither can be set. So tls.connect - Node's, in this process
// only; the packages are as they came - leads what goes to port 443 of a hub that was started here to the
// port of the loopback that it listens on. Server name and certificate are checked as ever. A connection to
// anywhere else fails: no test talks to the world.

import net from 'node:net';
import tls from 'node:tls';

import { hub } from './hub.js';
import { cleanup } from './program.js';
import { until } from './until.js';

const TIMEOUT = 15000;

async function load(name) {
  try {
    return await import(name);
  } catch (error) {
    throw new Error(`${name}: run deploy/setup, which installs the packages of these tests (${error.message})`);
  }
}

const { default: common } = await load('azure-iot-common');
const { default: device } = await load('azure-iot-device');
const { default: service } = await load('azure-iothub');
const { default: transport } = await load('azure-iot-device-mqtt');

const { MqttWs } = transport;
export const { default: mqtt } = await load('mqtt');
export const identity = await load('@azure/identity');
export const { WebSocket, createWebSocketStream } = await load('ws');
export const { Client: DeviceClient, ModuleClient, Message, SharedAccessKeyAuthenticationProvider } = device;
export const { Registry, Client: ServiceClient } = service;
const { ExponentialBackOffWithJitter, NoRetry } = common;

// ---- where connections go ----

const hubs = new Map(); // by host name

function onLoopback(host) {
  return host === 'localhost' || host === '::1' || (net.isIPv4(host) && host.startsWith('127.'));
}

const connect = tls.connect;

tls.connect = (options, ...rest) => {
  const host = options?.host ?? 'localhost';
  const known = hubs.get(host);
  if (known === undefined && !onLoopback(host)) throw new Error(`a test wants to connect to ${host}`);
  if (known === undefined || Number(options.port) !== 443) return connect(options, ...rest);
  return connect({
    ...options,
    host: known.address,
    port: known.port,
    servername: options.servername || host,
    ca: options.ca ?? known.ca, // as with NODE_EXTRA_CA_CERTS: the Registry has no option for it
  }, ...rest);
};

/** The SDKs find the hub at its host name until the test is over. */
function reachable(t, known) {
  hubs.set(known.host, known);
  cleanup(t, () => {
    if (hubs.get(known.host) === known) hubs.delete(known.host);
  });
  return known;
}

/**
 * Starts a hub, reachable for the SDKs at port 443 of its `name`, that counts what clients do: seen().
 * `registry` is the SDK's registry manager signed in to it.
 */
export async function sdkHub(t, { name = 'emu.azure-devices.example', args = [] } = {}) {
  const made = reachable(t, await hub(t, { args: ['--host-name', name, ...args], faults: true }));
  made.registry = Registry.fromConnectionString(made.policies.iothubowner);
  return made;
}

// ---- clients ----

/** A promise of the next `event`; gives its first argument. */
export function next(emitter, event, timeout = TIMEOUT) {
  return new Promise((resolve, reject) => {
    const heard = (value) => {
      clearTimeout(timer);
      resolve(value);
    };
    const timer = setTimeout(() => {
      emitter.removeListener(event, heard);
      reject(new Error(`no '${event}' within ${timeout} ms`));
    }, timeout);
    emitter.once(event, heard);
  });
}

/** Sets a client up as its users do; it is closed when the test is over, and tries nothing again then. */
async function settled(t, known, client, { retry = true, options } = {}) {
  const policy = retry ? new ExponentialBackOffWithJitter() : new NoRetry();
  client.setRetryPolicy(policy);
  client.failures = [];
  client.on('error', (error) => client.failures.push(error));
  cleanup(t, () => {
    policy.shouldRetry = () => false; // what it began outlives close(), up to four minutes
    return client.close();
  });
  await client.setOptions({ ca: known.caFile, ...options });
  return client;
}

/**
 * A ModuleClient (or the client of a device) over MQTT over WebSockets; not opened. `options` are those of
 * setOptions(). With `retry: false` it tries everything once, else with the SDK's own policy.
 */
export function sdkClient(t, known, connectionString, settings) {
  const kind = connectionString.includes(';ModuleId=') ? ModuleClient : DeviceClient;
  return settled(t, known, kind.fromConnectionString(connectionString, MqttWs), settings);
}

/** A ModuleClient whose tokens an authentication provider makes. */
export function sdkClientOfProvider(t, known, provider, settings) {
  return settled(t, known, ModuleClient.fromAuthenticationProvider(provider, MqttWs), settings);
}

/** A client of a `kind` with a token that was made before; it tries everything once. */
export function sdkClientOfToken(t, known, kind, signature) {
  return settled(t, known, kind.fromSharedAccessSignature(signature, MqttWs), { retry: false });
}

/** Creates the identity and opens a client for it: { client, twin }. */
export async function openModule(t, known, identity, options) {
  const client = await sdkClient(t, known, await known.create(...identity.split('/')), options);
  await client.open();
  return { client, twin: await client.getTwin() };
}

/** Reports a patch; resolves when the hub has it, rejects when it refused. */
export function report(twin, patch) {
  return new Promise((resolve, reject) => {
    twin.properties.reported.update(patch, (error) => (error ? reject(error) : resolve()));
  });
}

/** Waits until the hub has seen `count` SUBSCRIBE packets of the identity. */
export function subscribed(known, identity, count) {
  return until(async () => (await known.seen(identity)).subscribed === count,
    { what: `${count} subscriptions of ${identity}` });
}

/**
 * Listens to desired properties (once for a twin) and resolves when the hub knows; `subscriptions` is how
 * many SUBSCRIBE packets it has seen then. next() of the result gives the patches one by one.
 */
export async function desiredPatches(known, identity, twin, subscriptions = 2) {
  const patches = [];
  const waiting = [];
  twin.on('properties.desired', (patch) => {
    const copy = structuredClone(patch);
    const first = waiting.shift();
    if (first) first(copy);
    else patches.push(copy);
  });
  await subscribed(known, identity, subscriptions);
  patches.length = 0; // what it already knew when the listener came
  return {
    get length() {
      return patches.length;
    },
    next(timeout = TIMEOUT) {
      if (patches.length > 0) return Promise.resolve(patches.shift());
      return new Promise((resolve, reject) => {
        const heard = (patch) => {
          clearTimeout(timer);
          resolve(patch);
        };
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(heard), 1);
          reject(new Error(`no patch of desired properties within ${timeout} ms`));
        }, timeout);
        waiting.push(heard);
      });
    },
  };
}

/** What a promise rejects with; throws when it does not. */
export async function failure(promise) {
  let value;
  try {
    value = await promise;
  } catch (error) {
    return error;
  }
  throw new Error(`it was to fail and gave ${JSON.stringify(value)}`);
}
