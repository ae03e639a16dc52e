// Devices whose values say where they come from: unit 3's register 105 holds 3105. An answer that is taken
// for another question's shows itself as a value that is not its address's.

const REGISTERS = 6;

/** The value that belongs there. */
export function valueAt(unit, address) {
  return unit * 1000 + address;
}

/**
 * A mapping of connections { name: [unit ids] }: two blocks of registers in each device. Devices are named
 * CONNECTION-UNIT. `connection` goes into every connection, `connections[name]` into that one.
 */
export function encoded(lines, { connection = {}, poll = '100ms', modules = null } = {}) {
  const tags = {};
  for (let i = 0; i < REGISTERS; i++) {
    tags[`h${100 + i}`] = { table: 'holding', address: 100 + i, type: 'uint16' };
    tags[`i${200 + i}`] = { table: 'input', address: 200 + i, type: 'uint16' };
  }
  const devices = {};
  for (const [line, units] of Object.entries(lines))
    for (const unit of units)
      devices[`${line}-${unit}`] = { connection: line, unit_id: unit, template: 'encoded',
        ...(modules === null ? {} : { module: null }) };
  return {
    hub: { host_name: 'localhost', device_id: 'gateway-01' },
    connections: Object.fromEntries(Object.keys(lines).map(
      (line, i) => [line, { transport: 'tcp', host: '127.0.0.1', port: 1 + i, ...connection }])),
    templates: { encoded: { poll_interval: poll, tags } },
    devices,
    ...(modules === null ? {} : { modules }),
  };
}

/** Blocks that a device of encoded() is read in. */
export const BLOCKS = 2;

/** Fills the registers of the devices. */
export async function fillEncoded(sim, mapping) {
  for (const [name, { unit_id: unit }] of Object.entries(mapping.devices))
    for (const [tag, { address }] of Object.entries(mapping.templates.encoded.tags))
      await sim.set(`${name}.${tag}`, valueAt(unit, address));
}

/** What in a status document is no value of its address: texts; none when all is well. */
export function wrongValues(mapping, status) {
  const found = [];
  for (const { device, tag, value, quality } of status.tags) {
    const want = valueAt(mapping.devices[device].unit_id, mapping.templates.encoded.tags[tag].address);
    if (quality === 'good' ? value !== want : value !== null && value !== want)
      found.push(`${device}.${tag} is ${value} (${quality}), not ${want}`);
  }
  return found;
}
