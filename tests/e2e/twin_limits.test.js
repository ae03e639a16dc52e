// Every limit of a twin at its edge, over the wire: the largest that is accepted and the smallest that is
// refused, tags and desired properties by the back end, reported properties by the module.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { hub } from './lib/index.js';
import { mqttIdentity } from './lib/mqtt_identity.js';

const x = (count) => 'x'.repeat(count);

/** Members whose keys and texts count `size` together. */
function sized(size) {
  const made = {};
  for (let i = 0; size > 0; i++) {
    const length = Math.min(size - 2, 4000);
    made[`k${String.fromCharCode(65 + i)}`] = x(length);
    size -= length + 2;
  }
  return made;
}

/** `depth` containers below the section, a number in the innermost. */
function nested(depth, array = false) {
  let made = 1;
  for (let i = 0; i < depth; i++) made = array && i < depth - 1 ? [made] : { k: made };
  return { top: made };
}

const KB = 1024;
const PROPERTIES = ['desired', 'reported'];
const ALL = ['tags', ...PROPERTIES];

// [what, sections, the largest accepted, the smallest refused]; a text is the JSON itself; undefined: none
const LIMITS = [
  ['8 KB of tags', ['tags'], sized(8 * KB), sized(8 * KB + 1), 'size'],
  ['32 KB of properties', PROPERTIES, sized(32 * KB), sized(32 * KB + 1), 'size'],
  ['a text of 4,096 bytes', ALL, { k: x(4096) }, { k: x(4097) }],
  ['a text of 4,096 bytes in 2,048 characters', ALL, { k: 'é'.repeat(2048) }, { k: `${'é'.repeat(2048)}x` }],
  ['a text in an array', ALL, { k: [x(4096)] }, { k: [x(4097)] }],
  ['a key of 1,024 bytes', ALL, { [x(1024)]: 1 }, { [x(1025)]: 1 }],
  ['a depth of 10', ALL, nested(10), nested(11)],
  ['a depth of 10 with arrays', ALL, nested(10, true), nested(11, true)],
  ['2^52 - 1', ALL, '{"k":4503599627370495}', '{"k":4503599627370496}'],
  ['-2^52', ALL, '{"k":-4503599627370496}', '{"k":-4503599627370497}'],
  ['a dot in a key', ALL, { 'a-b': 1 }, { 'a.b': 1 }],
  ['a dollar sign in a key', ALL, { 'a#b': 1 }, { a$b: 1 }],
  ['a blank in a key', ALL, { 'a!b': 1 }, { 'a b': 1 }],
  ['a control character in a key', ALL, { 'a\u00a0b': 1 }, { 'a\u009fb': 1 }],
  ['null in an array', ALL, { k: [{ a: 0 }] }, { k: [null] }],
  ['null in an object in an array', ALL, { k: [{}] }, { k: [{ a: null }] }],
];

const json = (value) => (typeof value === 'string' ? value : JSON.stringify(value));

/** Writes `value` into a section of a fresh module's twin; gives the status and how to read it back. */
async function write(t, iot, module, section, value) {
  const connectionString = await iot.create('gateway-01', module);
  if (section === 'reported') {
    const identity = await mqttIdentity(t, iot, connectionString);
    const { status, body } = await identity.report(json(value));
    await identity.close();
    return { status, message: body?.message };
  }
  const text = section === 'tags' ? `{"tags":${json(value)}}` : `{"properties":{"desired":${json(value)}}}`;
  const { status, headers, body } = await iot.rest('PATCH', `/twins/gateway-01/modules/${module}`, { text, etag: '*' });
  return { status, code: headers['iothub-errorcode'], message: body.Message };
}

async function stored(iot, module, section) {
  const { tags, properties } = await iot.twin('gateway-01', module);
  if (section === 'tags') return tags;
  const { $metadata, $version, ...rest } = properties[section];
  return rest;
}

test('the largest is accepted, the smallest beyond it is refused and nothing of it applied', async (t) => {
  const iot = await hub(t);
  let number = 0;

  for (const [what, sections, most, more, kind] of LIMITS) {
    for (const section of sections) {
      const module = `m${number++ % 40}`; // of 50
      await iot.rest('DELETE', `/devices/gateway-01/modules/${module}`, { etag: '*' });
      const refused = await write(t, iot, module, section, more);
      const name = `${what}, ${section}`;
      const tooLarge = kind === 'size' && section !== 'reported';
      assert.equal(refused.status, tooLarge ? 413 : 400, name);
      if (section !== 'reported') assert.equal(refused.code, tooLarge ? 'MessageTooLarge' : 'ArgumentInvalid', name);
      assert.ok(refused.message.length > 0, name);
      assert.deepEqual(await stored(iot, module, section), {}, name);

      const accepted = await write(t, iot, module, section, most);
      assert.equal(accepted.status, section === 'reported' ? 204 : 200, `${name}: ${accepted.message}`);
      assert.deepEqual(await stored(iot, module, section), JSON.parse(json(most)), name);
    }
  }
});

test('the sizes that the options choose', async (t) => {
  const iot = await hub(t, { args: ['--rest-oversize', '400', '--mqtt-oversize', '413', '--size-rule', 'bytes'] });

  assert.equal((await write(t, iot, 'a', 'desired', sized(32 * KB + 1))).status, 400);
  assert.equal((await write(t, iot, 'a', 'reported', sized(32 * KB + 1))).status, 413);
  const wide = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((key) => [key, 'é'.repeat(2000)]));
  assert.equal((await write(t, iot, 'a', 'desired', wide)).status, 400); // 36 KB in 18,009 characters
  delete wide.i;
  assert.equal((await write(t, iot, 'a', 'desired', wide)).status, 200);
});

test('fifty modules of a device, and no more', async (t) => {
  const iot = await hub(t);

  await iot.create('gateway-01');
  for (let i = 0; i < 50; i++) assert.equal((await iot.rest('PUT', `/devices/gateway-01/modules/m${i}`, { body: {} })).status, 200);
  const refused = await iot.rest('PUT', '/devices/gateway-01/modules/one-more', { body: {} });
  assert.equal(refused.status, 403);
  assert.equal(refused.headers['iothub-errorcode'], 'TooManyModulesOnDevice');
  assert.equal((await iot.rest('GET', '/devices/gateway-01/modules')).body.length, 50);
});
