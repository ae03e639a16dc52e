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
