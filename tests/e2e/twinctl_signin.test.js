// twinctl's ways of signing in, each against a token service that plays its script.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';

import { Program, binaries, datedCertificate, folder, hub, run, scripted } from './lib/index.js';

const TENANT = '11111111-2222-3333-4444-555555555555';
const CLIENT = '66666666-7777-8888-9999-000000000000';
const SECRET = 'Aq~8Q+secret/with&odd=characters%20é';
const TWIN = { deviceId: 'gw', etag: 'AAE=', properties: { desired: { $version: 1 }, reported: { $version: 1 } } };
const TOKEN_PATH = `/${TENANT}/oauth2/v2.0/token`;
const KEY = 'AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=';

const token = (name, more = {}) => ({
  body: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: `header.${name}.signature`, ...more },
});
const bearer = (name) => `Bearer header.${name}.signature`;

/** A hub that gives a twin to whoever asks, and a token service, in one server. */
async function cloud(t) {
  return (await scripted(t)).on('*', /twins/, { body: TWIN }).on('POST', /oauth2/, token('one'));
}

const application = (script, more = {}) => ({
  AZURE_TENANT_ID: TENANT, AZURE_CLIENT_ID: CLIENT, AZURE_AUTHORITY_HOST: script.url, ...more,
});

/** Runs twinctl, with the hub of the script by its name; no word of what is secret may come out of it. */
async function ctl(t, script, env, args = ['twin', 'get', 'gw', '--json'], secrets = [SECRET]) {
  const result = await run(t, 'twinctl',
    [...args, '--hub-name', 'localhost', '--port', String(script.port), '--ca-file', script.caFile], { env });
  for (const secret of [...secrets, 'signature', SECRET.slice(0, 9), encodeURIComponent(SECRET).slice(0, 9)])
    assert.ok(!`${result.stdout}${result.stderr}`.includes(secret), `a secret is printed: ${secret}`);
  return result;
}

/** The code, and one line on standard error that `pattern` matches. */
function refused(result, code, pattern) {
  assert.equal(result.code, code, result.stderr);
  assert.match(result.stderr, /^twinctl [^\n]+\n$/, 'one line');
  assert.match(result.stderr, pattern);
  assert.equal(result.stdout, '');
}

/** An RSA key and its certificate in `dir`, as PEM files. */
function rsa(dir, name, type = ['rsa:2048']) {
  const file = (suffix) => path.join(dir, `${name}.${suffix}`);
  execFileSync('openssl', ['req', '-x509', '-newkey', ...type, '-nodes', '-keyout', file('key'), '-out', file('crt'),
    '-days', '30', '-subj', `/CN=${name}`], { stdio: 'pipe' });
  fs.writeFileSync(file('pem'), fs.readFileSync(file('key'), 'utf8') + fs.readFileSync(file('crt'), 'utf8'));
  return { key: file('key'), crt: file('crt'), pem: file('pem') };
}

test('a client secret gets one token for all requests of a run', async (t) => {
  const script = await cloud(t);
  script.on('POST', /devices\/query/,
    { headers: { 'x-ms-continuation': 'two' }, body: [{ n: 1 }] }, { body: [{ n: 2 }] });

  const query = await ctl(t, script, application(script, { AZURE_CLIENT_SECRET: SECRET }),
    ['query', 'SELECT * FROM devices', '--json']);

  assert.equal(query.code, 0, query.stderr);
  assert.deepEqual(JSON.parse(query.stdout), [{ n: 1 }, { n: 2 }]);
  const [asked, ...pages] = script.requests;
  assert.equal(asked.url, TOKEN_PATH);
  assert.equal(asked.headers['content-type'], 'application/x-www-form-urlencoded');
  assert.equal(asked.headers.authorization, undefined);
  assert.deepEqual(Object.fromEntries(new URLSearchParams(asked.body)), {
    grant_type: 'client_credentials', client_id: CLIENT, client_secret: SECRET,
    scope: 'https://iothubs.azure.net/.default',
  });
  assert.deepEqual(pages.map(({ headers }) => headers.authorization), [bearer('one'), bearer('one')]);
});

test('a client certificate signs an assertion that only its key can have made', async (t) => {
  const script = await cloud(t);
  const dir = folder(t);
  const { key, crt, pem } = rsa(dir, 'application');
  const other = rsa(dir, 'other');
  const file = (name) => path.join(dir, name);
  execFileSync('openssl', ['pkcs8', '-topk8', '-in', key, '-out', file('locked.key'), '-passout', 'pass:open sesame']);
  fs.writeFileSync(file('locked.pem'), fs.readFileSync(crt, 'utf8') + fs.readFileSync(file('locked.key'), 'utf8'));
  fs.writeFileSync(file('chain.pem'), [other.crt, crt, key].map((name) => fs.readFileSync(name, 'utf8')).join(''));
  for (const [name, password] of [['locked.pfx', 'open sesame'], ['open.pfx', '']])
    execFileSync('openssl', ['pkcs12', '-export', '-in', crt, '-inkey', key, '-out', file(name), '-passout', `pass:${password}`]);
  const certificate = new crypto.X509Certificate(fs.readFileSync(crt));
  const thumbprint = crypto.createHash('sha256').update(certificate.raw).digest('base64url');
  const ids = new Set();
  const cases = [
    [pem, {}],
    [file('chain.pem'), {}],
    [file('chain.pem'), { AZURE_CLIENT_SEND_CERTIFICATE_CHAIN: 'true' }],
    [file('locked.pem'), { AZURE_CLIENT_CERTIFICATE_PASSWORD: 'open sesame' }],
    [file('locked.pfx'), { AZURE_CLIENT_CERTIFICATE_PASSWORD: 'open sesame' }],
    [file('open.pfx'), {}],
  ];

  for (const [certificatePath, more] of cases) {
    script.requests.length = 0;
    const env = application(script, { AZURE_CLIENT_CERTIFICATE_PATH: certificatePath, ...more });
    const result = await ctl(t, script, env, undefined, ['open sesame', 'PRIVATE']);
    assert.equal(result.code, 0, `${certificatePath}: ${result.stderr}`);

    const form = Object.fromEntries(new URLSearchParams(script.requests[0].body));
    const { client_assertion: jwt, ...rest } = form;
    assert.deepEqual(rest, {
      grant_type: 'client_credentials', client_id: CLIENT, scope: 'https://iothubs.azure.net/.default',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    });
    const [header, claims, signature] = jwt.split('.');
    assert.match(jwt, /^[\w-]+\.[\w-]+\.[\w-]+$/);
    assert.ok(crypto.verify('sha256', Buffer.from(`${header}.${claims}`), {
      key: certificate.publicKey, padding: crypto.constants.RSA_PKCS1_PSS_PADDING, saltLength: 32,
    }, Buffer.from(signature, 'base64url')), 'PS256');
    const { x5c, ...head } = JSON.parse(Buffer.from(header, 'base64url'));
    assert.deepEqual(head, { alg: 'PS256', typ: 'JWT', 'x5t#S256': thumbprint });
    assert.deepEqual(x5c?.map((der) => new crypto.X509Certificate(Buffer.from(der, 'base64')).subject),
      more.AZURE_CLIENT_SEND_CERTIFICATE_CHAIN ? ['CN=application', 'CN=other'] : undefined);
    const { aud, iss, sub, jti, nbf, exp, ...none } = JSON.parse(Buffer.from(claims, 'base64url'));
    assert.deepEqual([aud, iss, sub, none], [`${script.url}${TOKEN_PATH}`, CLIENT, CLIENT, {}]);
    assert.equal(exp - nbf, 600);
    assert.ok(Math.abs(nbf - Date.now() / 1000) < 30);
    assert.match(jti, /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    ids.add(jti);
    assert.equal(script.requests[1].headers.authorization, bearer('one'));
  }
  assert.equal(ids.size, cases.length, 'no assertion is used twice');
});

test('a certificate file that cannot be used is named, with what it lacks', async (t) => {
  const script = await cloud(t);
  const dir = folder(t);
  const good = rsa(dir, 'good');
  const other = rsa(dir, 'other');
  const ec = rsa(dir, 'ec', ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']);
  const ended = datedCertificate(t, '20200101000000Z', '20210101000000Z', ['rsa:2048']);
  const future = datedCertificate(t, '20980101000000Z', '20990101000000Z', ['rsa:2048']);
  const write = (name, ...parts) => {
    fs.writeFileSync(path.join(dir, name), parts.map((part) => (fs.existsSync(part) ? fs.readFileSync(part) : part)).join(''));
    return path.join(dir, name);
  };
  execFileSync('openssl', ['pkcs8', '-topk8', '-in', good.key, '-out', path.join(dir, 'l'), '-passout', 'pass:right']);
  const locked = write('locked.pem', path.join(dir, 'l'), good.crt);
  const pfx = path.join(dir, 'locked.pfx');
  execFileSync('openssl', ['pkcs12', '-export', '-in', good.crt, '-inkey', good.key, '-out', pfx, '-passout', 'pass:right']);
  const cases = [
    [path.join(dir, 'none.pem'), undefined, 66, /none.pem: cannot read: No such file/],
    [dir, undefined, 78, /cannot read: Is a directory/],
    [good.crt, undefined, 78, /good.crt: holds no private key/],
    [good.key, undefined, 78, /good.key: holds no certificate of its private key/],
    [write('mixed.pem', good.key, other.crt), undefined, 78, /mixed.pem: holds no certificate of its private key/],
    [locked, undefined, 78, /locked.pem: AZURE_CLIENT_CERTIFICATE_PASSWORD is not set, and the key wants one/],
    [locked, 'wrong', 78, /locked.pem: AZURE_CLIENT_CERTIFICATE_PASSWORD is not the key's/],
    [pfx, undefined, 78, /locked.pfx: AZURE_CLIENT_CERTIFICATE_PASSWORD is not set, and the file wants one/],
    [pfx, 'wrong', 78, /locked.pfx: AZURE_CLIENT_CERTIFICATE_PASSWORD is not the file's/],
    [ec.pem, undefined, 78, /ec.pem: Entra wants an RSA key/],
    [write('ended.pem', ended.key, ended.cert), undefined, 78, /ended.pem: the certificate has ended/],
    [write('future.pem', future.key, future.cert), undefined, 78, /future.pem: the certificate is not valid yet; check the clock/],
    [write('garbage', 'hello'), undefined, 78, /garbage: is neither PEM nor PKCS#12/],
    [write('empty', ''), undefined, 78, /empty: is neither PEM nor PKCS#12/],
    [write('large', 'x'.repeat(200000)), undefined, 78, /large: larger than 131072 bytes/],
    [write('broken.pem', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'), undefined, 78,
      /broken.pem: its private key cannot be read/],
  ];

  for (const [file, password, code, pattern] of cases) {
    const env = application(script, { AZURE_CLIENT_CERTIFICATE_PATH: file });
    if (password) env.AZURE_CLIENT_CERTIFICATE_PASSWORD = password;
    const result = await ctl(t, script, env, undefined, ['right', 'BEGIN']);
    refused(result, code, pattern);
    assert.match(result.stderr, /sign-in with client certificate \(AZURE_CLIENT_CERTIFICATE_PATH\): /);
  }
  assert.equal(script.requests.length, 0);
});

test('a federated token is read at each use, and a token renewed before its end', async (t) => {
  const script = await cloud(t);
  const file = path.join(folder(t), 'token');
  fs.writeFileSync(file, 'first.federated.token\n');
  script.on('POST', /oauth2/, (request, response) => {
    fs.writeFileSync(file, 'second.federated.token');
    response.end(JSON.stringify(token('one', { expires_in: '1' }).body));
  }, token('two'));
  script.on('POST', /devices\/query/, (request, response) => {
    // The page takes longer than the token lives.
    setTimeout(() => response.setHeader('x-ms-continuation', 'two').end('[{"n":1}]'), 1200);
  }, { body: [{ n: 2 }] });

  const query = await ctl(t, script, application(script, { AZURE_FEDERATED_TOKEN_FILE: file }),
    ['query', 'SELECT * FROM devices', '--json'], ['federated']);

  assert.equal(query.code, 0, query.stderr);
  const assertions = script.of(/oauth2/).map(({ body }) => new URLSearchParams(body).get('client_assertion'));
  assert.deepEqual(assertions, ['first.federated.token', 'second.federated.token']);
  assert.deepEqual(script.of(/query/).map(({ headers }) => headers.authorization), [bearer('one'), bearer('two')]);

  for (const [name, content, code, pattern] of [
    ['none', undefined, 66, /none: cannot read: No such file/],
    ['empty', ' \n', 78, /empty: holds no token/],
  ]) {
    const path_ = path.join(folder(t), name);
    if (content !== undefined) fs.writeFileSync(path_, content);
    refused(await ctl(t, script, application(script, { AZURE_FEDERATED_TOKEN_FILE: path_ })), code, pattern);
  }
});

test('what the token service refuses is said with its code, and what to do', async (t) => {
  const script = await cloud(t);
  const env = application(script, { AZURE_CLIENT_SECRET: SECRET });
  const entra = (status, error, description) => ({
    status, body: { error, error_description: `${description} Ensure.\r\nTrace ID: 1-2\r\nCorrelation ID: 3`, error_codes: [1] },
  });
  const lead = /sign-in with client secret \(AZURE_CLIENT_SECRET\): localhost:\d+: /;
  const cases = [
    [entra(401, 'invalid_client', "AADSTS7000215: Invalid client secret provided."), 77,
      /401 AADSTS7000215: Invalid client secret provided; it must be the secret's value, not the secret's ID\n/],
    [entra(401, 'invalid_client', 'AADSTS7000222: The provided client secret keys are expired.'), 77,
      /401 AADSTS7000222: .*; make a new secret/],
    [entra(400, 'unauthorized_client', `AADSTS700016: Application with identifier '${CLIENT}' was not found.`), 77,
      /400 AADSTS700016: .*; check AZURE_CLIENT_ID and AZURE_TENANT_ID/],
    [entra(400, 'invalid_request', "AADSTS90002: Tenant 'x' not found."), 77, /AADSTS90002: .*check AZURE_TENANT_ID/],
    [{ status: 403, body: '<html><h1>Blocked</h1></html>' }, 77, /403 Blocked;/],
    [{ status: 404, body: '' }, 77, /404 not found;/],
    [{ status: 200, headers: { 'Content-Type': 'text/html' }, body: '<html>Sign in</html>' }, 69, /200, but the answer is no token document/],
    [{ status: 200, body: '' }, 69, /200, but the answer is no token document/],
    [{ status: 200, body: '{"access_token":"header.x.signature",' }, 69, /200, but the answer is no token document/],
    [{ status: 200, body: { token_type: 'Bearer' } }, 69, /200, but the answer holds no access_token/],
    [{ status: 200, body: { access_token: 'a\r\nX-Evil: signature' } }, 69, /200, but the access_token is/],
    [{ status: 200, body: 'x'.repeat(70000) }, 69, /the answer is too large/],
    [{ status: 302, headers: { Location: 'https://portal.example/' } }, 69, /302 .*this is no token service/],
    [{ status: 500, body: 'oops' }, 75, /500 oops; try again later/],
    [{ status: 429, headers: { 'Retry-After': '600' }, body: '' }, 75, /429 too many requests; try again later/],
    [{ lost: true }, 69, /; try again later/],
    ...[SECRET, encodeURIComponent(SECRET)].map((shown) =>
      [{ status: 400, body: `{"error_description":"bad request ${'x'.repeat(90)}: client_secret=${shown}"}` }, 77, /what it was sent/]),
  ];

  for (const [step, code, pattern] of cases) {
    script.on('POST', /oauth2/, step);
    const result = await ctl(t, script, env, ['twin', 'get', 'gw', '--retry-for', '0s']);
    refused(result, code, pattern);
    if (!/what it was sent/.test(result.stderr)) assert.match(result.stderr, lead);
  }
  assert.equal(script.of(/twins/).length, 0, 'the hub was asked nothing');

  script.requests.length = 0;
  script.on('POST', /oauth2/, { status: 429, headers: { 'Retry-After': '0' } }, { status: 503 }, token('late'));
  const late = await ctl(t, script, env);
  assert.equal(late.code, 0, late.stderr);
  assert.equal(script.of(/oauth2/).length, 3);

  refused(await ctl(t, script, { ...env, AZURE_AUTHORITY_HOST: 'https://localhost:1' }, ['twin', 'get', 'gw', '--retry-for', '0s']),
    69, /AZURE_CLIENT_SECRET\): localhost:1: .*check host name/);
  refused(await ctl(t, script, { ...env, AZURE_AUTHORITY_HOST: 'http://localhost:1' }), 78, /AZURE_AUTHORITY_HOST .* no https/);
});

test('a token goes to the hub and its service alone', async (t) => {
  const script = await cloud(t);
  const stranger = await cloud(t); // its certificate is its own
  const env = application(script, { AZURE_CLIENT_SECRET: SECRET, AZURE_AUTHORITY_HOST: stranger.url });

  const result = await ctl(t, script, env);

  refused(result, 69, /certificate.*--ca-file/);
  assert.equal(stranger.requests.length, 0, 'the secret went to nobody');
});

test('a token that the hub refuses is replaced once, and a refusal names the role', async (t) => {
  const script = await cloud(t);
  const env = application(script, { AZURE_CLIENT_SECRET: SECRET });
  const no = { status: 401, headers: { 'iothub-errorcode': 'IotHubUnauthorizedAccess' },
    body: { Message: 'ErrorCode:IotHubUnauthorizedAccess;Unauthorized' } };

  script.on('GET', /twins/, no);
  refused(await ctl(t, script, env), 77, /401 IotHubUnauthorizedAccess: Unauthorized.*; who signs in needs a role on this hub: IoT Hub Data/);
  assert.deepEqual([script.of(/oauth2/).length, script.of(/twins/).length], [1, 1], 'a new token is not asked for anew');

  script.requests.length = 0;
  script.on('POST', /oauth2/, token('one'), token('two'));
  script.on('POST', /devices\/query/, { headers: { 'x-ms-continuation': 'two' }, body: [{ n: 1 }] }, no, { body: [{ n: 2 }] });
  const query = await ctl(t, script, env, ['query', 'SELECT * FROM devices', '--json']);
  assert.equal(query.code, 0, query.stderr);
  assert.deepEqual(script.of(/query/).map(({ headers }) => headers.authorization),
    [bearer('one'), bearer('one'), bearer('two')]);

  const date = new Date(Date.now() + 3600e3).toUTCString();
  script.on('GET', /twins/, { ...no, headers: { Date: date } });
  refused(await ctl(t, script, env), 77, /401 .*; the clock of this machine is (59|60) min behind the hub's: set it/);
});

test('a machine with a managed identity asks its metadata service, past any proxy', async (t) => {
  const script = await cloud(t);
  const imds = await scripted(t, { tls: false });
  const proxy = await scripted(t, { tls: false });
  const env = { AZURE_POD_IDENTITY_AUTHORITY_HOST: `${imds.url}/`, HTTP_PROXY: proxy.url, http_proxy: proxy.url, ALL_PROXY: proxy.url,
    NO_PROXY: 'localhost' };
  const get = (more = {}, ...args) => ctl(t, script, { ...env, ...more }, ['twin', 'get', 'gw', '--json', ...args]);

  imds.on('GET', /./, token('machine', { expires_in: '86399', expires_on: String(Math.floor(Date.now() / 1000) + 86399) }));
  const system = await get();
  assert.equal(system.code, 0, system.stderr);
  assert.equal(imds.requests[0].url,
    '/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fiothubs.azure.net');
  assert.equal(imds.requests[0].headers.metadata, 'true');
  assert.equal(script.requests.at(-1).headers.authorization, bearer('machine'));
  const user = await get({ AZURE_CLIENT_ID: CLIENT });
  assert.equal(user.code, 0, user.stderr);
  assert.ok(imds.requests.at(-1).url.endsWith(`&client_id=${CLIENT}`));

  for (const status of [404, 410, 429, 500]) {
    imds.clear().on('GET', /./, { status, headers: { 'Retry-After': '0' } }, token('late'));
    const late = await get();
    assert.equal(late.code, 0, `${status}: ${late.stderr}`);
    assert.equal(imds.requests.length, 2);
  }
  imds.clear().on('GET', /./, { status: 400, body: { error: 'invalid_request', error_description: 'Identity not found' } });
  refused(await get(), 77, /sign-in with managed identity: metadata service: 400 Identity not found; assign a managed identity/);
  assert.equal(imds.requests.length, 1);
  imds.clear().on('GET', /./, { status: 410 });
  refused(await get({}, '--retry-for', '0s'), 75, /410 .*; try again later/);
  imds.clear().on('GET', /./, { body: '<html>' });
  refused(await get(), 69, /metadata service: 200, but the answer is no token document/);

  const nobody = { AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://127.0.0.1:1' };
  refused(await get(nobody), 69, /metadata service: .*127.0.0.1/);
  assert.doesNotMatch((await get(nobody, '--verbose')).stderr, /trying again/, 'where there is none, nobody waits for it');
  refused(await get({ AZURE_POD_IDENTITY_AUTHORITY_HOST: 'http://198.51.100.1' }), 78, /is not http:\/\/ to this machine/);
  assert.equal(proxy.requests.length, 0);
});

test('App Service gets its header', async (t) => {
  const script = await cloud(t);
  const local = (await scripted(t, { tls: false })).on('GET', /./,
    { body: { access_token: 'header.app.signature', expires_on: String(Math.floor(Date.now() / 1000) + 600), resource: 'r' } });
  const env = { IDENTITY_ENDPOINT: `${local.url}/msi/token`, IDENTITY_HEADER: SECRET.replace('é', ''), AZURE_CLIENT_ID: CLIENT };

  const result = await ctl(t, script, env, undefined, [env.IDENTITY_HEADER]);
  assert.equal(result.code, 0, result.stderr);
  assert.equal(local.requests[0].url,
    `/msi/token?api-version=2019-08-01&resource=https%3A%2F%2Fiothubs.azure.net&client_id=${CLIENT}`);
  assert.equal(local.requests[0].headers['x-identity-header'], env.IDENTITY_HEADER);
  assert.equal(local.requests[0].headers.metadata, undefined);
  assert.equal(script.requests[0].headers.authorization, bearer('app'));

  local.on('GET', /./, { status: 400, body: { statusCode: 400, message: 'No User Assigned Managed Identity found.' } });
  refused(await ctl(t, script, env), 77, /App Service: 400 No User Assigned Managed Identity found;/);
});

const unshared = spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'tmpfs', '/var/opt']).status === 0;

test('Azure Arc is answered with the key of its own folder, and with no other file', async (t) => {
  const script = await cloud(t);
  const arc = await scripted(t, { tls: false });
  const env = { IDENTITY_ENDPOINT: `${arc.url}/metadata/identity/oauth2/token`, IMDS_ENDPOINT: arc.url };
  const challenge = (file) => ({ status: 401, headers: { 'WWW-Authenticate': `Basic realm=${file}` }, body: { error: 'unauthorized_client' } });

  for (const file of ['/etc/passwd', '/var/opt/azcmagent/tokens/../../../../etc/passwd.key', '/tmp/a.key', ''])
    for (const header of [challenge(file), { status: 401 }]) {
      arc.clear().on('GET', /./, header);
      refused(await ctl(t, script, env), 69, /Azure Arc: 401 names no key file in \/var\/opt\/azcmagent\/tokens/);
      assert.equal(arc.requests.length, 1);
    }
  arc.clear().on('GET', /./, challenge('/var/opt/azcmagent/tokens/never-there.key'));
  refused(await ctl(t, script, env), 66, /Azure Arc: .*never-there.key: cannot read: No such file/);
  refused(await ctl(t, script, { ...env, AZURE_CLIENT_ID: CLIENT }), 78, /only the machine's own identity; unset it/);
});

test('Azure Arc: the key goes back', { skip: unshared ? false : 'wants a mount namespace of its own' }, async (t) => {
  const script = await cloud(t);
  const arc = await scripted(t, { tls: false });
  const env = { IDENTITY_ENDPOINT: `${arc.url}/metadata/identity/oauth2/token`, IMDS_ENDPOINT: arc.url };
  const keyFile = '/var/opt/azcmagent/tokens/a-b-c.key';
  // The folder is fixed: the program sees one of its own in its place.
  const inside = (prepare) => run(t, '/usr/bin/unshare', ['--user', '--map-root-user', '--mount', 'sh', '-c',
    `mount -t tmpfs tmpfs /var/opt && mkdir -p ${path.dirname(keyFile)} && ${prepare} && shift && exec "$@"`, 'sh', 'x',
    path.join(binaries, 'twinctl'), 'twin', 'get', 'gw', '--json', '--hub-name', 'localhost',
    '--port', String(script.port), '--ca-file', script.caFile], { env });
  const play = () => arc.clear().on('GET', /./,
    { status: 401, headers: { 'WWW-Authenticate': `Basic realm=${keyFile}` } }, token('arc'));

  play();
  const result = await inside(`printf 0123456789-arc-key > ${keyFile}`);
  assert.equal(result.code, 0, result.stderr);
  assert.deepEqual(arc.requests.map(({ headers }) => [headers.metadata, headers.authorization]),
    [['true', undefined], ['true', 'Basic 0123456789-arc-key']]);
  assert.equal(arc.requests[0].url,
    '/metadata/identity/oauth2/token?api-version=2020-06-01&resource=https%3A%2F%2Fiothubs.azure.net');
  assert.equal(script.requests[0].headers.authorization, bearer('arc'));

  play();
  refused(await inside(`head -c 5000 /dev/zero | tr '\\0' k > ${keyFile}`), 78, /a-b-c.key: larger than 4096 bytes/);
  assert.equal(arc.requests.length, 1);
  play();
  refused(await inside(`printf 'a\\nX: y' > ${keyFile}`), 78, /a-b-c.key: holds no key/);
  arc.clear().on('GET', /./, { status: 401, headers: { 'WWW-Authenticate': `Basic realm=${keyFile}` } });
  refused(await inside(`printf k > ${keyFile}`), 77, /Azure Arc: 401/);
  assert.equal(arc.requests.length, 2, 'a second challenge is a refusal');
});

test('the order is that of Azure, and what is missing is named', async (t) => {
  const script = await cloud(t);
  const imds = (await scripted(t, { tls: false })).on('GET', /./, token('machine'));
  const file = path.join(folder(t), 'federated');
  fs.writeFileSync(file, 'federated');
  const machine = { AZURE_POD_IDENTITY_AUTHORITY_HOST: imds.url };
  const federated = { AZURE_FEDERATED_TOKEN_FILE: file };
  const secret = { AZURE_CLIENT_SECRET: SECRET };

  await ctl(t, script, application(script, { ...machine, ...federated, ...secret }));
  assert.equal(new URLSearchParams(script.requests[0].body).get('client_secret'), SECRET);
  script.requests.length = 0;
  await ctl(t, script, application(script, { ...machine, ...federated }));
  assert.equal(new URLSearchParams(script.requests[0].body).get('client_assertion'), 'federated');
  assert.equal(imds.requests.length, 0);
  script.requests.length = 0;
  await ctl(t, script, application(script, { ...machine, ...secret }),
    ['twin', 'get', 'gw', '--sign-in', 'managed-identity']);
  assert.equal(script.requests[0].headers.authorization, bearer('machine'));

  for (const [env, args, pattern] of [
    [{ ...secret, AZURE_CLIENT_ID: CLIENT }, [], /client secret \(AZURE_CLIENT_SECRET\): AZURE_TENANT_ID is not set/],
    [{ ...federated, AZURE_TENANT_ID: TENANT }, [], /AZURE_CLIENT_ID is not set/],
    [application(script), ['--sign-in', 'secret'], /AZURE_CLIENT_SECRET is not set/],
    [{}, ['--sign-in', 'sas'], /--hub-name is for signing in with Entra/],
    [application(script, { ...secret, AZURE_TENANT_ID: '../x' }), [], /AZURE_TENANT_ID '\.\.\/x' is no tenant/],
  ]) refused(await ctl(t, script, env, ['twin', 'get', 'gw', ...args]), 78, pattern);

  const noHub = await run(t, 'twinctl', ['twin', 'get', 'gw'], { env: application(script, secret) });
  refused(noHub, 78, /to which hub\? give --hub-name HOST/);
  refused(await ctl(t, script, {}, ['twin', 'get', 'gw', '--sign-in', 'magic']), 64,
    /--sign-in is one of sas\|secret\|certificate\|federated\|managed-identity, not 'magic'/);
});

test('no secret is on the command line, nor in what --verbose says', async (t) => {
  const script = await cloud(t);
  let shown = '';
  let program;
  script.on('POST', /oauth2/, (request, response) => {
    shown = fs.readFileSync(`/proc/${program.pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    response.end(JSON.stringify(token('one').body));
  });

  program = new Program(t, 'twinctl', ['twin', 'get', 'gw', '--verbose', '--hub-name', 'localhost', '--port', String(script.port),
    '--ca-file', script.caFile], { env: application(script, { AZURE_CLIENT_SECRET: SECRET }) });
  assert.deepEqual(await program.ended(), { code: 0, signal: null }, program.said);

  assert.match(shown, /twin get gw --verbose/);
  assert.ok(!shown.includes(SECRET));
  assert.match(program.stderr, /^twinctl: POST https:\/\/localhost:\d+\/.*\/oauth2\/v2.0\/token: 200$/m);
  assert.ok(!/signature|secret/.test(program.stderr), program.stderr);
});

test('a policy signs each request; a key that was changed is told as such', async (t) => {
  const h = await hub(t);
  await h.create('gateway-01', 'heating');
  const file = path.join(h.folder, 'policy');
  const get = (text) => {
    fs.writeFileSync(file, text);
    return run(t, 'twinctl', ['twin', 'get', 'gateway-01/heating', '--json', '--hub-connection-string-file', file,
      '--port', String(h.port), '--ca-file', h.caFile]);
  };

  const good = await get(`${h.policies.service}\r\n`);
  assert.equal(good.code, 0, good.stderr);
  assert.equal(JSON.parse(good.stdout).moduleId, 'heating');
  const old = await get(h.policies.service.replace(/SharedAccessKey=.*/, `SharedAccessKey=${KEY}`));
  refused(old, 77, /401 .*; check that the sign-in is this hub's, its key is right/);
  assert.ok(!old.stderr.includes(KEY));
});

test('all ways against a hub that has its own Entra', async (t) => {
  const dir = folder(t);
  const { crt, pem } = rsa(dir, 'application');
  const stranger = rsa(dir, 'stranger');
  const federated = path.join(dir, 'federated');
  fs.writeFileSync(federated, 'a.federated.token');
  const h = await hub(t, { args: ['--entra', '--entra-certificate', crt, '--entra-federated-token', federated, '--imds', '127.0.0.1:0'] });
  const [, tenant, client, secret, authority] = h.program.stdout.match(/^entra (\S+) (\S+) (\S+) (https:\S+)$/m);
  const [, imds] = h.program.stdout.match(/^imds (http:\S+)$/m);
  await h.create('gateway-01', 'heating');
  const get = (env) => run(t, 'twinctl', ['twin', 'get', 'gateway-01/heating', '--json', '--hub-name', h.host,
    '--port', String(h.port), '--ca-file', h.caFile, '--retry-for', '0s'], { env });
  const ids = { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: client, AZURE_AUTHORITY_HOST: authority };

  for (const env of [
    { ...ids, AZURE_CLIENT_SECRET: secret },
    { ...ids, AZURE_CLIENT_CERTIFICATE_PATH: pem },
    { ...ids, AZURE_FEDERATED_TOKEN_FILE: federated },
    { AZURE_POD_IDENTITY_AUTHORITY_HOST: imds },
  ]) {
    const result = await get(env);
    assert.equal(result.code, 0, result.stderr);
    assert.equal(JSON.parse(result.stdout).moduleId, 'heating');
  }

  refused(await get({ ...ids, AZURE_CLIENT_SECRET: `${secret}x` }), 77, /AZURE_CLIENT_SECRET\): .*401 AADSTS7000215: /);
  refused(await get({ ...ids, AZURE_CLIENT_CERTIFICATE_PATH: stranger.pem }), 77, /CERTIFICATE_PATH\): .*401 AADSTS700027: .*; upload this certificate/);
  refused(await get({ ...ids, AZURE_TENANT_ID: CLIENT, AZURE_CLIENT_SECRET: secret }), 77, /AADSTS90002: /);
});

test('a watch waits for a token service that is busy', async (t) => {
  const script = await scripted(t);
  const twin = (a) => ({ body: { ...TWIN, properties: { desired: { a, $version: 1 }, reported: { $version: 1 } } } });
  script.on('GET', /twins/, twin(1), twin(2)).on('POST', /oauth2/, token('one', { expires_in: 1 }), { status: 503 }, token('two'));

  const watch = await ctl(t, script, application(script, { AZURE_CLIENT_SECRET: SECRET }),
    ['watch', 'gw', '--interval', '1s', '--until', 'desired.a=2']);

  assert.equal(watch.code, 0, watch.stderr);
  const notes = watch.stderr.trimEnd().split('\n').slice(1);
  assert.match(notes[0], /^twinctl watch: gw: sign-in with client secret .*: 503 .*; trying again until it works$/);
  assert.match(notes[1], /^twinctl watch: gw: the hub answers again, after \d+ s$/);
  assert.deepEqual(script.of(/twins/).map(({ headers }) => headers.authorization), [bearer('one'), bearer('two')]);
});
