// Mapping files of any size.

const name = (letter, number) => `${letter}${String(number).padStart(5, '0')}`;

const numbers = (count) => Array.from({ length: count }, (_, i) => i);

/**
 * Devices with a connection of their own each, all at `port`, with `tags` registers in blocks without gaps.
 * The first `modules` devices have a module, 50 of them on each of the hub's devices.
 */
export function mapping({ port, devices, tags, modules = 0, interval = '1s' }) {
  const registers = Object.fromEntries(numbers(tags).map(
    (i) => [name('r', i), { table: 'holding', address: i, type: 'uint16' }]));
  return {
    hub: {},
    connections: Object.fromEntries(numbers(devices).map(
      (i) => [name('c', i), { transport: 'tcp', host: '127.0.0.1', port }])),
    templates: { meter: { poll_interval: interval, tags: registers } },
    devices: Object.fromEntries(numbers(devices).map((i) => [name('d', i),
      { connection: name('c', i), unit_id: 1, template: 'meter', ...(i < modules ? {} : { module: null }) }])),
    modules: Object.fromEntries(numbers(modules).map((i) => [name('d', i),
      { devices: [name('d', i)], device_id: `gateway-${Math.floor(i / 50)}` }])),
  };
}
