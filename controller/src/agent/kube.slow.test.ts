// As in a pod: HTTPS with the cluster's own authority, and the service account's token from a file.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { createKube } from './kube.ts';

const dir = mkdtempSync(join(tmpdir(), 'kube-'));

function makeCertificate(name: string): { key: string; cert: string; path: string } {
  const [key, cert] = [join(dir, `${name}.key`), join(dir, `${name}.crt`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1'];
  const kind = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  execFileSync('openssl', ['req', ...kind, '-keyout', key, '-out', cert, ...subject], { stdio: 'ignore' });
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8'), path: cert };
}

const own = makeCertificate('own');
const other = makeCertificate('other');
const seen: (string | undefined)[] = [];
const server = createServer({ key: own.key, cert: own.cert }, (request, response) => {
  seen.push(request.headers.authorization);
  response.end('{"kind":"Status"}');
});

test.before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve())));
test.after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(dir, { recursive: true });
});

function configWith(caFile: string): KubeConfig {
  const tokenFile = join(dir, 'token');
  writeFileSync(tokenFile, 'token-of-the-pod');
  const url = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = new KubeConfig();
  config.loadFromClusterAndUser(
    { name: 'inCluster', server: url, caFile, skipTLSVerify: false },
    { name: 'agent', authProvider: { name: 'tokenFile', config: { tokenFile } } },
  );
  return config;
}

test('the API server of the cluster is asked with the token from the file', async () => {
  assert.equal(await createKube(configWith(own.path)).get('/api/v1/nodes'), { status: 200, body: { kind: 'Status' } });
  assert.equal(seen, ['Bearer token-of-the-pod']);
});

test('one that another authority signed is not asked at all', async () => {
  const error = await createKube(configWith(other.path))
    .get('/api/v1/nodes')
    .catch((reason: unknown) => reason);
  assert.is((error as { code?: string }).code, 'E-CLUSTER');
  assert.not(String(error).includes('token-of-the-pod'));
  assert.is(seen.length, 1);
});

test.run();
