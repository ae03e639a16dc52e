// A hub that no good library could play: raw WebSocket frames, and answers to the bridge's own twin gets that
// are no twins. The bridge ignores them, asks again or connects again, once, and takes nothing from them.
//
// TWINBRIDGE_LONG=1 sends each wrong answer 100 times instead of 5, and each wrong frame to 100 bridges, one
// after the other (a second frame to the same one would only measure its back-off).

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { boilers, bridge, fakeHub, frame, plant, until } from './lib/index.js';

const LONG = process.env.TWINBRIDGE_LONG === '1';
const TIMES = LONG ? 100 : 5;
const MODULE = 'boiler-7';
const ORDER = '{"setpoint":35,"pump":true,"$version":9}'; // what must never reach the device
const SECTIONS = `{"desired":${ORDER},"reported":{"$version":1}}`;

function publish(topic, payload) {
  const body = Buffer.concat([Buffer.from([topic.length >> 8, topic.length & 0xff]), Buffer.from(topic), Buffer.from(payload)]);
  const length = [];
  let rest = body.length;
  do {
    length.push((rest & 0x7f) | (rest > 127 ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.from([0x30, ...length, ...body]);
}

/** A twin hub in a few words; `twin()` gives what the next get is answered with. */
async function system(t, twin) {
  let version = 3; // of the desired section that a good get tells
  const made = { gets: 0, connects: 0, patches: 0 };
  const good = () => `{"desired":{"$version":${version}},"reported":{"$version":1}}`;
  const iot = await fakeHub(t, (name, packet) => {
    if (name === 'CONNECT') {
      made.connects++;
      return [0x20, 2, 0, 0];
    }
    if (name === 'SUBSCRIBE') return [0x90, 4, 0, 1, 0, 0];
    if (name === 'PINGREQ') return [0xd0, 0];
    if (name !== 'PUBLISH') return null;
    const [, kind, rid] = packet.toString('latin1').match(/\$iothub\/twin\/(GET|PATCH)\/.*?\$rid=([0-9a-f-]+)/);
    if (kind === 'PATCH') {
      made.patches++;
      return publish(`$iothub/twin/res/204/?$rid=${rid}&$version=${made.patches + 1}`, '');
    }
    made.gets++;
    return publish(`$iothub/twin/res/200/?$rid=${rid}`, twin() ?? good());
  });
  const site = await plant(t, { [MODULE]: 7 });
  const gateway = await bridge(t, { hub: iot, ports: site.ports, provision: false,
    mapping: boilers({ [MODULE]: 7 }, { hub: { credentials: iot.credentials(MODULE) } }) });
  await gateway.ready();
  return Object.assign(made, { iot, site, gateway,
    /** An order of the hub, in a frame; it is carried out. */
    async works(setpoint) {
      await gateway.ready([MODULE], 30000);
      version++;
      iot.write(frame(publish(`$iothub/twin/PATCH/properties/desired/?$version=${version}`, `{"setpoint":${setpoint}}`)));
      await until(async () => (await site.setpoints(MODULE)).at(-1) === setpoint, { what: `the order ${setpoint}` });
    },
    /** A notification that comes too early, so that the bridge asks for the whole twin. */
    gap: () => iot.write(frame(publish('$iothub/twin/PATCH/properties/desired/?$version=90', '{}'))) });
}

const NO_TWINS = {
  'nothing': '',
  'not JSON': 'twin',
  'cut': SECTIONS.slice(0, -1),
  'two documents': SECTIONS + SECTIONS,
  'an array': `[${SECTIONS}]`,
  'null': 'null',
  'no sections': '{}',
  'no desired': '{"reported":{"$version":1}}',
  'no reported': `{"desired":${ORDER}}`,
  'desired is null': '{"desired":null,"reported":{"$version":1}}',
  'desired is a list': '{"desired":[],"reported":{"$version":1}}',
  'reported is a number': `{"desired":${ORDER},"reported":5}`,
  'no version': '{"desired":{"setpoint":35},"reported":{"$version":1}}',
  'a version that is text': '{"desired":{"setpoint":35,"$version":"9"},"reported":{}}',
  'a negative version': '{"desired":{"setpoint":35,"$version":-1},"reported":{}}',
  'a fraction as version': '{"desired":{"setpoint":35,"$version":9.5},"reported":{}}',
  'a version beyond 2^53': '{"desired":{"setpoint":35,"$version":1e18},"reported":{}}',
  'desired twice': `{"desired":${ORDER},"desired":${ORDER},"reported":{"$version":1}}`,
  'a key twice': '{"desired":{"setpoint":35,"setpoint":34,"$version":9},"reported":{}}',
  'deep': `{"desired":{"setpoint":35,"a":${'{"a":'.repeat(500)}1${'}'.repeat(500)},"$version":9},"reported":{}}`,
  'deeper': '['.repeat(60000),
  'bad UTF-8': Buffer.from(SECTIONS.replace('setpoint', 'setp\xffoint'), 'latin1'),
  'a NUL': SECTIONS.replace('true', '"\\u0000"'),
  '100,000 values': `{"desired":{"setpoint":35,"a":[${'1,'.repeat(100000)}1],"$version":9},"reported":{}}`,
};

describe('hostile answers and frames', { concurrency: 4 }, () => {
  test('an answer to a get that is no twin is asked for once more, and nothing of it is used', async (t) => {
    let next;
    const made = await system(t, () => {
      const answer = next;
      next = undefined;
      return answer;
    });

    for (const [name, text] of Object.entries(NO_TWINS)) {
      for (let i = 0; i < TIMES; i++) {
        const { gets } = made;
        next = text;
        made.gap();
        await until(async () => made.gets >= gets + 2 && (await made.gateway.module(MODULE)).state === 'ready',
          { every: 5, what: `two gets after ${name}` });
        assert.equal(made.gets, gets + 2, name);
      }
    }
    await made.works(21);
    assert.equal(made.connects, 1);
    assert.deepEqual(await made.site.setpoints(MODULE), [21]);
  });

  test('an answer that is never a twin: one connection after the other, with a back-off, and ready when it is', async (t) => {
    let broken = false;
    const made = await system(t, () => (broken ? 'twin' : undefined));

    broken = true;
    made.gap();
    await until(async () => /no twin JSON, twice in a row/.test((await made.gateway.module(MODULE)).error), { what: 'the words' });
    await until(() => made.connects >= 3, { timeout: 15000, what: 'two more connections' });
    assert.ok(made.gets <= 1 + 2 * made.connects, 'two gets for each connection');
    broken = false;
    await made.works(22);
    assert.deepEqual(await made.site.setpoints(MODULE), [22]);
  });

  const order = publish('$iothub/twin/PATCH/properties/desired/?$version=4', '{"setpoint":35}');
  const FRAMES = {
    'a reserved opcode': frame(order, 0x83),
    'a reserved control opcode': frame([], 0x8b),
    'RSV1 set': frame(order, 0xc2),
    'RSV2 and RSV3 set': frame(order, 0xb2),
    'a continuation of nothing': frame(order, 0x80),
    'a new message inside another': Buffer.concat([frame(order.subarray(0, 5), 0x02), frame(order, 0x82)]),
    'a ping of 126 bytes': frame(Buffer.alloc(126), 0x89),
    'a ping in pieces': frame([1, 2], 0x09),
    'a length of 2^63': Buffer.from([0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0xff]),
    'a close': frame([], 0x88),
    'a close with a reason': frame([0x03, 0xe9, ...Buffer.from('going away')], 0x88),
    'a close with a code that is none': frame([0, 1], 0x88),
    'a close of one byte': frame([3], 0x88),
    'a text message': frame(order, 0x81),
    'zeros': Buffer.alloc(100),
  };
  /** One bridge meets `bytes`: it reconnects once at most, works, and took nothing from them. */
  async function meets(t, bytes) {
    const made = await system(t, () => undefined);

    made.iot.write(bytes);
    made.iot.write(frame([0xd0, 0]));
    await until(async () => made.connects === 2 || (await made.gateway.module(MODULE)).state === 'ready', { what: 'an end' });
    const before = performance.now();
    while (made.connects === 1 && performance.now() - before < 1500)
      await until(async () => (await made.gateway.page('/healthz')).status === 200, { what: 'a turning loop' });
    await made.works(23).catch(async () => made.works(24)); // the first order may meet the end of the connection
    assert.ok(made.connects <= 2, `${made.connects} connections`);
    assert.equal((await made.site.setpoints(MODULE)).includes(35), false, 'nothing came through');
  }

  for (const [name, bytes] of Object.entries(FRAMES)) {
    test(`${name}: one reconnect at most`, async (t) => {
      await meets(t, bytes);
      for (let i = 1; LONG && i < 100; i++)
        await t.test(`again ${i}`, (again) => meets(again, bytes));
    });
  }

  test('pings, pongs, empty frames and messages in pieces are no trouble', async (t) => {
    const made = await system(t, () => undefined);
    const whole = publish('$iothub/twin/PATCH/properties/desired/?$version=4', '{"setpoint":24}');

    for (let i = 0; i < 100; i++) {
      made.iot.write(frame(Buffer.from(`ping ${i}`), 0x89));
      made.iot.write(frame([], 0x8a));
      made.iot.write(frame([], 0x82));
    }
    made.iot.write(frame(whole.subarray(0, 3), 0x02));
    made.iot.write(frame([], 0x00));
    made.iot.write(frame([1], 0x89));
    made.iot.write(frame(whole.subarray(3, 9), 0x00));
    made.iot.write(frame(whole.subarray(9), 0x80));
    await until(async () => (await made.site.setpoints(MODULE)).at(-1) === 24, { what: 'the order in pieces' });
    assert.equal(made.connects, 1);
  });
});
