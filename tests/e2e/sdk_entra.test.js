// Back ends that sign in with Microsoft Entra ID: Microsoft's identity library gets its tokens from hubsim,
// Microsoft's service SDK shows them to it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { folder, until } from './lib/index.js';
import { Registry, ServiceClient, failure, identity, sdkHub } from './lib/sdk.js';

/** A hub that is a tenant, too: { h, tenant, id, secret, options } for the library's credentials. */
async function tenantHub(t, args = []) {
  const h = await sdkHub(t, { args: ['--entra', ...args] });
  const [, tenant, id, secret] = h.program.stdout.match(/^entra (\S+) (\S+) (\S+) https:\S+$/m);
  const options = { authorityHost: `https://${h.host}`, disableInstanceDiscovery: true,
    retryOptions: { maxRetries: 0 } };
  return { h, tenant, id, secret, options };
}

test('a client secret opens registry, twins and methods', async (t) => {
  const { h, tenant, id, secret, options } = await tenantHub(t);
  const credential = new identity.ClientSecretCredential(tenant, id, secret, options);
  const registry = Registry.fromTokenCredential(h.host, credential);

  await registry.create({ deviceId: 'gateway-01' });
  await registry.addModule({ deviceId: 'gateway-01', moduleId: 'boiler-9' });
  const { responseBody: twin } = await registry.updateModuleTwin('gateway-01', 'boiler-9',
    { properties: { desired: { rate: 5 } } }, '*');
  assert.equal(twin.properties.desired.rate, 5);
  const offline = await failure(ServiceClient.fromTokenCredential(h.host, credential)
    .invokeDeviceMethod('gateway-01', 'boiler-9', { methodName: 'x' }));
  assert.match(offline.responseBody, /404103/);

  const wrong = new identity.ClientSecretCredential(tenant, id, 'another', options);
  const refused = await failure(Registry.fromTokenCredential(h.host, wrong).list());
  assert.match(refused.message, /AADSTS7000215/);
});

test('a client certificate does', async (t) => {
  const dir = folder(t);
  const file = (name) => path.join(dir, name);
  for (const name of ['mine', 'other'])
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=app',
      '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`)], { stdio: 'pipe' });
  const { h, tenant, id, options } = await tenantHub(t, ['--entra-certificate', file('mine.crt')]);
  const registry = (name) => {
    const certificate = fs.readFileSync(file(`${name}.crt`), 'utf8') + fs.readFileSync(file(`${name}.key`), 'utf8');
    return Registry.fromTokenCredential(h.host,
      new identity.ClientCertificateCredential(tenant, id, { certificate }, options));
  };

  assert.deepEqual((await registry('mine').list()).responseBody, []);
  assert.match((await failure(registry('other').list())).message, /AADSTS700027/);
});

test('a federated token does, as it is when it is asked for', async (t) => {
  const tokenFilePath = path.join(folder(t), 'token');
  fs.writeFileSync(tokenFilePath, 'first.token.text');
  const { h, tenant, id, options } = await tenantHub(t, ['--entra-federated-token', tokenFilePath]);
  const registry = () => Registry.fromTokenCredential(h.host,
    new identity.WorkloadIdentityCredential({ tenantId: tenant, clientId: id, tokenFilePath, ...options }));

  assert.deepEqual((await registry().list()).responseBody, []);
  fs.writeFileSync(tokenFilePath, 'second.token.text');
  assert.deepEqual((await registry().list()).responseBody, []);
  const stale = new identity.ClientAssertionCredential(tenant, id, async () => 'first.token.text', options);
  assert.match((await failure(Registry.fromTokenCredential(h.host, stale).list())).message, /AADSTS\d+/);
});

test('a token that is over, or for somebody else, is UnauthorizedError', async (t) => {
  const { h, tenant, id, secret, options } = await tenantHub(t, ['--entra-lifetime', '2']);
  const credential = new identity.ClientSecretCredential(tenant, id, secret, options);
  const registry = async (scope) => {
    const { token } = await credential.getToken(scope);
    const kept = { token, expiresOnTimestamp: Date.now() + 3600_000 }; // a client with a clock that is behind
    return Registry.fromTokenCredential(h.host, { getToken: async () => kept });
  };

  const other = await registry('https://vault.azure.net/.default');
  assert.equal((await failure(other.list())).name, 'UnauthorizedError');
  const mine = await registry('https://iothubs.azure.net/.default');
  assert.deepEqual((await mine.list()).responseBody, []);
  const over = await until(() => failure(mine.list()), { what: 'the end of the token' });
  assert.equal(over.name, 'UnauthorizedError');
});
