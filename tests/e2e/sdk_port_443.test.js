// Microsoft's SDKs and hubsim with nothing in between: a program of its own, port 443, the hub's
// certificate from NODE_EXTRA_CA_CERTS.

import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';

import { hub, repository, run } from './lib/index.js';
import './lib/sdk.js'; // says when the packages are missing

/** An address of the loopback that no other run of this test takes: it is made of the process's number. */
function ownAddress() {
  return `127.${64 + ((process.pid >> 16) & 63)}.${(process.pid >> 8) & 255}.${process.pid & 255}`;
}

test('a program of a user runs against port 443 as it is', async (t) => {
  const address = ownAddress();
  let h;
  try {
    h = await hub(t, { listen: address, port: 443, args: ['--host-name', address] });
  } catch (error) {
    const [why] = error.message.match(/^hubsim: .*port 443.*$/m) ?? [];
    if (why === undefined) throw error;
    t.skip(why); // taken by another program, or not for this user
    return;
  }

  const { code, stdout, stderr } = await run(t, process.execPath,
    [path.join(repository, 'tests/e2e/lib/sdk_user.js'), h.policies.iothubowner],
    { env: { NODE_EXTRA_CA_CERTS: h.caFile } });

  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), {
    twin: { desired: { $version: 1 }, reported: { $version: 1 } },
    method: { status: 200, payload: { was: 'now' } },
    patch: { rate: 5, $version: 2 },
    reported: 61.4,
  });
  const { body: [message] } = await h.rest('GET', '/hubsim/messages');
  assert.deepEqual([message.body, message.deviceId, message.moduleId], ['hello', 'gateway-01', 'boiler-9']);
});
