// Boilers behind a Modbus/TCP server that is not ours, and the mapping for them.

import { pymodbus } from './devices.js';

const HOLDING_SETPOINT = 100;
const COIL_PUMP = 3;

/** The two words of a float32 in the byte order ABCD. */
function float32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatBE(value);
  return [bytes.readUInt16BE(0), bytes.readUInt16BE(2)];
}

/** The mapping of boilers; `units` is { device: unit id }, `connection` and `hub` go into their sections. */
export function boilers(units, { connection = {}, hub = {}, template = {} } = {}) {
  return {
    hub,
    connections: {
      plant: { transport: 'tcp', response_timeout: '200ms', backoff_min: '100ms', backoff_max: '500ms',
        ...connection },
    },
    templates: {
      boiler: {
        poll_interval: '50ms',
        stale_after: '2s',
        tags: {
          temperature: { table: 'input', address: 0, type: 'float32', unit: 'degC' },
          setpoint: { table: 'holding', address: HOLDING_SETPOINT, type: 'int16', scale: 0.1, access: 'rw',
            min: 5, max: 35, unit: 'degC' },
          pump: { table: 'coil', address: COIL_PUMP, access: 'rw' },
        },
        ...template,
      },
    },
    devices: Object.fromEntries(Object.entries(units).map(
      ([name, unit]) => [name, { connection: 'plant', unit_id: unit, template: 'boiler' }])),
  };
}

class Plant {
  constructor(server, units) {
    this.server = server;
    this.units = units;
  }

  /** For bridge(): where the connection leads. */
  get ports() {
    return { plant: this.server.port };
  }

  temperature(device, value) {
    return this.server.set(this.units[device], 'input', 0, float32(value));
  }

  setpoint(device, value) {
    return this.server.set(this.units[device], 'holding', HOLDING_SETPOINT, Math.round(value * 10));
  }

  /** All writes to the set-point of a device since the server started, in order. */
  async setpoints(device) {
    return (await this.server.writes())
      .filter((write) => write.unit === this.units[device] && write.address === HOLDING_SETPOINT)
      .map((write) => write.values[0] / 10);
  }

  /** How many requests for values a device answered. */
  async reads(device) {
    return (await this.server.reads()).filter((read) => read.unit === this.units[device]).length;
  }

  silent(device, silent = true) {
    return this.server.silent(this.units[device], silent);
  }

  /** Every register with its first value: 60 degC, 20 degC, pump off. */
  async fill() {
    for (const device of Object.keys(this.units)) {
      await this.temperature(device, 60);
      await this.setpoint(device, 20);
      await this.server.set(this.units[device], 'coil', COIL_PUMP, 0);
    }
    return this;
  }

  kill() {
    return this.server.kill();
  }

  /** Back at the same port, with the registers as the test set them. */
  async start() {
    await this.server.start();
    return this;
  }
}

/** Starts the boilers of `units`, { device: unit id }. */
export async function plant(t, units) {
  return await new Plant(await pymodbus(t, { units: Object.values(units) }), units).fill();
}
