// Certificates for servers that are not hubsim, and authorities that are not its own.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

import { folder } from './program.js';

/** A certificate that signed itself, for these host names (or "IP:ADDRESS"); { key, cert, caFile }. */
export function certificate(t, names = ['localhost']) {
  const dir = folder(t);
  const keyFile = path.join(dir, 'key.pem');
  const caFile = path.join(dir, 'ca.pem');
  const alternatives = names.map((name) => (name.startsWith('IP:') ? name : `DNS:${name}`)).join(',');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
    '-keyout', keyFile, '-out', caFile, '-days', '2', '-subj', '/CN=twinbridge test',
    '-addext', `subjectAltName=${alternatives}`], { stdio: 'pipe' });
  return { key: fs.readFileSync(keyFile, 'utf8'), cert: fs.readFileSync(caFile, 'utf8'), caFile };
}

/**
 * A certificate for localhost that signed itself, good from `from` to `to` (YYYYMMDDHHMMSSZ), with a key of the
 * `type` that openssl's req takes; { key, cert, caFile }.
 */
export function datedCertificate(t, from, to, type = ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']) {
  const dir = folder(t);
  const file = (name) => path.join(dir, name);
  fs.writeFileSync(file('index'), '');
  fs.writeFileSync(file('ca.conf'), `[ca]
default_ca = a
[a]
database = ${file('index')}
new_certs_dir = ${dir}
rand_serial = yes
default_md = sha256
policy = p
x509_extensions = e
[p]
commonName = supplied
[e]
subjectAltName = DNS:localhost
basicConstraints = CA:TRUE
`);
  execFileSync('openssl', ['req', '-newkey', ...type, '-nodes', '-keyout', file('key'),
    '-out', file('csr'), '-subj', '/CN=twinbridge test'], { stdio: 'pipe' });
  execFileSync('openssl', ['ca', '-batch', '-selfsign', '-notext', '-config', file('ca.conf'), '-keyfile', file('key'),
    '-in', file('csr'), '-out', file('pem'), '-startdate', from, '-enddate', to], { stdio: 'pipe' });
  return { key: fs.readFileSync(file('key'), 'utf8'), cert: fs.readFileSync(file('pem'), 'utf8'), caFile: file('pem') };
}
