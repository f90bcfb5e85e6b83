// Certificates of one cluster, made by openssl: an authority of its own, certificates that it signs, a key pair for tokens.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certificate {
  certFile: string;
  keyFile: string;
}

export interface Pki {
  caFile: string;
  /** Private and public key that service account tokens are signed and checked with. */
  tokenKeyFile: string;
  tokenPublicFile: string;
  /** For a server; `names` are DNS names and IP addresses. */
  server(name: string, names: readonly string[], subject?: string): Certificate;
  /** For a user: `CN` is the user, each `O` a group. */
  client(user: string, groups?: readonly string[]): Certificate;
}

const days = '3650';

function openssl(...args: string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

function makeKey(file: string): void {
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file);
}

/** What is there already is used again. */
export function createPki(folder: string, name: string): Pki {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const at = (file: string) => join(folder, file);
  const [caFile, caKey] = [at('ca.crt'), at('ca.key')];
  const [tokenKeyFile, tokenPublicFile] = [at('token.key'), at('token.pub')];
  if (!existsSync(caFile)) {
    makeKey(caKey);
    openssl('req', '-x509', '-new', '-key', caKey, '-days', days, '-subj', `/CN=${name}-ca`, '-out', caFile);
  }
  if (!existsSync(tokenPublicFile)) {
    makeKey(tokenKeyFile);
    openssl('pkey', '-in', tokenKeyFile, '-pubout', '-out', tokenPublicFile);
  }

  function sign(file: string, subject: string, extensions: readonly string[]): Certificate {
    const made = { certFile: at(`${file}.crt`), keyFile: at(`${file}.key`) };
    if (existsSync(made.certFile)) return made;
    const [request, extension] = [at(`${file}.csr`), at(`${file}.ext`)];
    makeKey(made.keyFile);
    openssl('req', '-new', '-key', made.keyFile, '-subj', subject, '-out', request);
    writeFileSync(extension, `${extensions.join('\n')}\n`);
    const signing = ['-req', '-in', request, '-CA', caFile, '-CAkey', caKey, '-CAcreateserial'];
    openssl('x509', ...signing, '-days', days, '-extfile', extension, '-out', made.certFile);
    return made;
  }

  return {
    caFile,
    tokenKeyFile,
    tokenPublicFile,
    server(file, names, subject = `/CN=${file}`) {
      const entries = names.map((one) => (/^[\d.]+$|:/.test(one) ? `IP:${one}` : `DNS:${one}`));
      const usage = 'extendedKeyUsage=serverAuth,clientAuth';
      return sign(file, subject, [`subjectAltName=${entries.join(',')}`, usage]);
    },
    client(user, groups = []) {
      const subject = `${groups.map((group) => `/O=${group}`).join('')}/CN=${user}`;
      return sign(`client-${user.replaceAll(/[^A-Za-z0-9.-]/g, '-')}`, subject, ['extendedKeyUsage=clientAuth']);
    },
  };
}

/** Kubeconfig whose context, cluster and user have one name. */
export function kubeconfigText(
  name: string,
  access: { url: string; caFile: string } & ({ certificate: Certificate } | { token: string }),
): string {
  const base64 = (file: string) => readFileSync(file).toString('base64');
  const user =
    'token' in access
      ? { token: access.token }
      : {
          'client-certificate-data': base64(access.certificate.certFile),
          'client-key-data': base64(access.certificate.keyFile),
        };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': name,
    clusters: [{ name, cluster: { server: access.url, 'certificate-authority-data': base64(access.caFile) } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    users: [{ name, user }],
  });
}
