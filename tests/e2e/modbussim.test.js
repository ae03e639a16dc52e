// modbussim on the wire: what it answers, keeps, moves and refuses.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { Program, devices, folder, modbusClient, pymodbus, run, until } from './lib/index.js';

const mapping = {
  hub: { host_name: 'localhost', device_id: 'gateway-01' },
  connections: {
    plant: { transport: 'tcp', host: '127.0.0.1', port: 1 },
    annex: { transport: 'tcp', host: '127.0.0.1', port: 2 },
  },
  templates: {
    boiler: {
      tags: {
        temperature: { table: 'input', address: 0, type: 'float32', byte_order: 'CDAB' },
        setpoint: { table: 'holding', address: 100, type: 'int16', scale: 0.1, access: 'rw', min: 5, max: 35 },
        pump: { table: 'coil', address: 3, access: 'rw' },
        alarm: { table: 'holding', address: 7, bit: 4 },
        energy: { table: 'input', address: 4, type: 'uint32' },
        door: { table: 'discrete', address: 9 },
      },
    },
  },
  devices: {
    'boiler-7': { connection: 'plant', unit_id: 7, template: 'boiler' },
    'boiler-8': { connection: 'plant', unit_id: 8, template: 'boiler' },
    'boiler-9': { connection: 'annex', unit_id: 7, template: 'boiler' },
  },
};

const READ_SETPOINT = [3, 0, 100, 0, 1];

test('all functions of the spine read and write the registers of their unit', async (t) => {
  const sim = await devices(t, mapping);
  const client = await modbusClient(t, sim.ports.plant);

  await sim.set('boiler-7.temperature', 20.5);
  await sim.set('boiler-7.door', true);
  await sim.set('boiler-7.energy', 65538);
  await sim.set('boiler-8.setpoint', 7);

  assert.deepEqual(await client.ask(7, [4, 0, 0, 0, 2]), [4, 4, 0x00, 0x00, 0x41, 0xa4]);
  assert.deepEqual(await client.ask(7, [4, 0, 4, 0, 2]), [4, 4, 0, 1, 0, 2]);
  assert.deepEqual(await client.ask(7, [2, 0, 9, 0, 1]), [2, 1, 1]);
  assert.deepEqual(await client.ask(7, [6, 0, 100, 0, 215]), [6, 0, 100, 0, 215]);
  assert.deepEqual(await client.ask(7, READ_SETPOINT), [3, 2, 0, 215]);
  assert.equal(await sim.get('boiler-7.setpoint'), 21.5);
  assert.deepEqual(await client.ask(7, [16, 0, 100, 0, 1, 2, 0, 220]), [16, 0, 100, 0, 1]);
  assert.equal(await sim.get('boiler-7.setpoint'), 22);
  assert.deepEqual(await client.ask(7, [5, 0, 3, 0, 0]), [5, 0, 3, 0, 0]);
  assert.deepEqual(await client.ask(7, [1, 0, 3, 0, 1]), [1, 1, 0]);
  assert.deepEqual(await client.ask(7, [15, 0, 3, 0, 1, 1, 1]), [15, 0, 3, 0, 1]);
  assert.equal(await sim.get('boiler-7.pump'), true);
  assert.deepEqual(await client.ask(8, READ_SETPOINT), [3, 2, 0, 70], 'units have registers of their own');

  const annex = await modbusClient(t, sim.ports.annex);
  assert.deepEqual(await annex.ask(7, READ_SETPOINT), [3, 2, 0, 210], 'and so have connections');
});

test('what cannot be answered gets its exception at once', async (t) => {
  const sim = await devices(t, mapping);
  const client = await modbusClient(t, sim.ports.plant);
  const cases = [
    ['an unknown unit', 77, READ_SETPOINT, [0x83, 11]],
    ['an address that is not mapped', 7, [3, 0, 200, 0, 1], [0x83, 2]],
    ['a count over the limit', 7, [3, 0, 100, 0, 126], [0x83, 3]],
    ['a body that is too short', 7, [16, 0, 100, 0, 1, 2, 0], [0x90, 3]],
    ['a body that is too long', 7, [3, 0, 100, 0, 1, 0], [0x83, 3]],
    ['a function that it does not know', 7, [43, 14, 1, 0], [0xab, 1]],
    ['a coil that is neither on nor off', 7, [5, 0, 3, 1, 2], [0x85, 3]],
  ];

  for (const [name, unit, request, want] of cases) {
    const start = performance.now();
    assert.deepEqual(await client.ask(unit, request), want, name);
    assert.ok(performance.now() - start < 250, `${name}: answered at once`);
  }
  assert.deepEqual(await client.ask(7, READ_SETPOINT), [3, 2, 0, 210], 'the connection is still in step');
});

test('requests in pieces and in heaps are answered in order', async (t) => {
  const sim = await devices(t, mapping);
  const client = await modbusClient(t, sim.ports.plant);

  for (const byte of client.frame(7, READ_SETPOINT)) {
    client.socket.write(Buffer.from([byte]));
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.deepEqual((await client.next()).pdu, [3, 2, 0, 210]);

  const frames = Array.from({ length: 40 }, () => client.frame(7, READ_SETPOINT));
  client.socket.write(Buffer.concat(frames));
  for (const frame of frames)
    assert.equal((await client.next()).transaction, frame.readUInt16BE(0));
});

test('a client that stalls in a request keeps nobody waiting', async (t) => {
  const sim = await devices(t, mapping);
  const stalled = await modbusClient(t, sim.ports.plant);
  const client = await modbusClient(t, sim.ports.plant);

  stalled.socket.write(stalled.frame(7, READ_SETPOINT).subarray(0, 9));
  const start = performance.now();
  for (let i = 0; i < 20; i++) assert.deepEqual(await client.ask(7, READ_SETPOINT), [3, 2, 0, 210]);

  assert.ok(performance.now() - start < 1000);
});

test('what is no Modbus is hung up on', async (t) => {
  const sim = await devices(t, mapping);
  const client = await modbusClient(t, sim.ports.plant);

  client.socket.write('GET / HTTP/1.1\r\n\r\n');

  await until(() => client.closed, { what: 'the connection to be closed' });
});

test('a silent unit answers nothing, its neighbour goes on, and it comes back', async (t) => {
  const sim = await devices(t, mapping);
  const client = await modbusClient(t, sim.ports.plant);

  await sim.unit('boiler-7', 'silent');
  assert.equal(await client.ask(7, READ_SETPOINT, 300), null);
  assert.deepEqual(await client.ask(8, READ_SETPOINT), [3, 2, 0, 210]);
  const annex = await modbusClient(t, sim.ports.annex);
  assert.deepEqual(await annex.ask(7, READ_SETPOINT), [3, 2, 0, 210], 'another line has another unit 7');
  await sim.unit('boiler-7', 'ok');
  assert.deepEqual(await client.ask(7, READ_SETPOINT), [3, 2, 0, 210]);

  await sim.unit(7, 'silent');
  assert.equal(await annex.ask(7, READ_SETPOINT, 300), null, 'a number means every unit of that number');
});

test('a unit can be slow, late, refuse, hang up, and lie on the wire, so often and no more', async (t) => {
  const sim = await devices(t, mapping);
  let client = await modbusClient(t, sim.ports.plant);
  const timed = async (...request) => {
    const start = performance.now();
    return [await client.ask(...request), performance.now() - start];
  };

  await sim.unit('boiler-7', 'exception 6 100 100%');
  assert.deepEqual(await client.ask(7, READ_SETPOINT), [0x83, 6]);
  assert.deepEqual(await client.ask(7, [1, 0, 3, 0, 1]), [1, 1, 1], 'what does not touch the address is answered');
  await sim.unit('boiler-7', 'ok');

  // Slow: who is asked after it waits, too. Late: it does not.
  await sim.unit('boiler-7', 'slow 200ms 1');
  client.socket.write(client.frame(7, READ_SETPOINT));
  const [, slow] = await timed(8, READ_SETPOINT);
  assert.ok(slow >= 190, `${slow} ms`);
  assert.deepEqual((await client.next()).unit, 8, 'in order');
  await sim.unit('boiler-7', 'late 200ms 1');
  client.socket.write(client.frame(7, READ_SETPOINT));
  client.socket.write(client.frame(8, READ_SETPOINT));
  assert.equal((await client.next()).unit, 8);
  assert.deepEqual((await client.next()).unit, 7);

  await sim.unit('boiler-7', 'wire glued 1');
  assert.deepEqual(await client.ask(7, READ_SETPOINT), [3, 2, 255, 255], 'the first of two is of somebody else');
  assert.deepEqual((await client.next()).pdu, [3, 2, 0, 210]);
  await sim.unit('boiler-7', 'wire foreign-unit 1');
  client.socket.write(client.frame(7, READ_SETPOINT));
  assert.equal((await client.next()).unit, 7 ^ 0x80);
  assert.deepEqual(await client.ask(7, READ_SETPOINT), [3, 2, 0, 210]);

  for (const fault of ['hangup 1', 'wire close-at 5 1', 'wire close-at 0 1']) {
    await sim.unit('boiler-7', fault);
    assert.equal(await client.ask(7, READ_SETPOINT, 1000), null, fault);
    await until(() => client.closed, { what: `${fault}: the end` });
    client = await modbusClient(t, sim.ports.plant);
    assert.deepEqual(await client.ask(7, READ_SETPOINT), [3, 2, 0, 210], `${fault}: once`);
  }
  assert.equal(await sim.command('unit boiler-7 count'), '13 8');
  assert.equal(await sim.command('unit boiler-8 count'), '2 0');
});

test('commands that make no sense are refused and change nothing', async (t) => {
  const sim = await devices(t, mapping);
  const cases = [
    ['get boiler-7', /not DEVICE.TAG/],
    ['get boiler-x.setpoint', /no device 'boiler-x'/],
    ['get boiler-7.nope', /no tag 'nope'/],
    ['set boiler-7.setpoint hot', /wrong type/],
    ['set boiler-7.setpoint 4000', /more than the registers hold/],
    ['set boiler-7.pump 1', /wrong type/],
    ['unit 99 silent', /no unit or device '99'/],
    ['unit 7 asleep', /a unit can be silent, slow/],
    ['unit 7 wire nope', /a unit can be/],
    ['unit 7 slow', /a unit can be/],
    ['', /commands:/],
    ['set boiler-7.setpoint 5 6', /commands:/],
  ];

  for (const [line, message] of cases)
    await assert.rejects(sim.command(line), message, line);
  assert.equal(await sim.get('boiler-7.setpoint'), 21);
});

test('the temperature goes where the set-point says, and counters rise', async (t) => {
  const sim = await devices(t, mapping, { moving: true });

  await sim.set('boiler-7.setpoint', 30);
  await sim.set('boiler-8.setpoint', 5);
  const energy = await sim.get('boiler-7.energy');

  await until(async () => (await sim.get('boiler-7.temperature')) > 21, { what: 'boiler-7 to get warm' });
  await until(async () => (await sim.get('boiler-8.temperature')) < 16.5, { what: 'boiler-8 to get cold' });
  await until(async () => (await sim.get('boiler-7.energy')) > energy, { what: 'energy to rise' });
  assert.equal(await sim.get('boiler-7.setpoint'), 30);
});

test('SIGTERM with clients connected ends it with 0, and the same ports can be had at once', async (t) => {
  const sim = await devices(t, mapping);
  const client = await modbusClient(t, sim.ports.plant);
  const ports = { ...sim.ports };

  await client.ask(7, READ_SETPOINT);
  await sim.stop({ timeout: 2000 });
  await until(() => client.closed, { what: 'the client to see the end' });
  await sim.start();

  assert.deepEqual(sim.ports, ports);
});

test('connections at the same address share it', async (t) => {
  const file = path.join(folder(t), 'mapping.json');
  const first = await devices(t, mapping);
  const shared = structuredClone(mapping);
  await first.stop();
  for (const name of ['plant', 'annex']) {
    shared.connections[name].port = first.ports.plant;
    shared.connections[name].host = '127.0.0.1';
  }
  shared.devices['boiler-9'].unit_id = 9;
  fs.writeFileSync(file, JSON.stringify(shared));

  const program = new Program(t, 'modbussim', [file, '--still']);
  await program.line(/^ready$/m);
  const client = await modbusClient(t, first.ports.plant);

  for (const unit of [7, 8, 9]) assert.deepEqual(await client.ask(unit, READ_SETPOINT), [3, 2, 0, 210]);
});

test('what is wrong at the start is said in one line with its exit code', async (t) => {
  const dir = folder(t);
  const good = path.join(dir, 'good.json');
  const bad = path.join(dir, 'bad.json');
  fs.writeFileSync(good, JSON.stringify(mapping));
  fs.writeFileSync(bad, '{ "hub": {');
  const other = await devices(t, mapping);
  const taken = `127.0.0.1:${other.ports.plant}`;
  const cases = [
    [[], 64, /FILE is missing/],
    [[good, good], 64, /good\.json' is one argument too many/],
    [[good, '--nope'], 64, /no option '--nope'/],
    [[good, '--listen', '127.0.0.1:0'], 64, /--connection NAME must stand before/],
    [[good, '--connection', 'plant'], 64, /--listen ADDR:PORT must stand behind --connection plant/],
    [[good, '--connection', 'plant', '--connection', 'annex'], 64, /--listen ADDR:PORT must stand behind --connection plant/],
    [[good, '--connection', 'plant', '--listen', 'here'], 64, /not ADDR:PORT/],
    [[good, '--connection', 'nope', '--listen', '127.0.0.1:0'], 66, /nope: no such connection/],
    [[good, '--connection', 'plant', '--listen', taken], 75, /connection plant: .*in use; move it/],
    [[path.join(dir, 'none.json')], 78, /No such file/],
    [[bad], 78, /bad\.json:1:/],
  ];

  for (const [args, code, message] of cases) {
    const result = await run(t, 'modbussim', args);
    assert.equal(result.code, code, `${args}: ${result.stderr}`);
    assert.match(result.stderr, message);
  }
});

test('the other device of the tests, pymodbus, keeps its side of the bargain', async (t) => {
  const device = await pymodbus(t, { units: [1, 2] });
  const client = await modbusClient(t, device.port);

  await device.set(1, 'holding', 100, [215, 7]);
  assert.deepEqual(await client.ask(1, [3, 0, 100, 0, 2]), [3, 4, 0, 215, 0, 7]);
  assert.deepEqual(await client.ask(1, [3, 0, 101, 0, 2]), [0x83, 2]);
  assert.deepEqual(await client.ask(1, [6, 0, 100, 0, 220]), [6, 0, 100, 0, 220]);
  assert.deepEqual(await device.get(1, 'holding', 100), [220]);
  assert.deepEqual(await device.writes(), [{ unit: 1, function: 6, address: 100, values: [220] }]);
  assert.equal((await device.reads()).filter((read) => read.function === 3).length, 1);

  await device.silent(1, true);
  assert.equal(await client.ask(1, [3, 0, 100, 0, 1], 300), null);
  await device.silent(1, false);
  assert.deepEqual(await client.ask(1, [3, 0, 100, 0, 1]), [3, 2, 0, 220]);
  await device.drop();
  await until(() => client.closed, { what: 'the client to be dropped' });
});
