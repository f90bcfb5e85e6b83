import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { certificateEnd, createCertificateEnds } from './certificate.ts';

const day = 86_400_000;

/** A certificate that ends in so many days, as base64 of its PEM text. */
function certificate(days: number): string {
  const dir = mkdtempSync(join(tmpdir(), 'certificate-'));
  try {
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/O=chutes/CN=miner'];
    const out = ['-keyout', join(dir, 'key'), '-out', join(dir, 'crt'), '-days', String(days)];
    execFileSync('openssl', ['req', '-x509', ...made, ...out], { stdio: 'ignore' });
    return readFileSync(join(dir, 'crt')).toString('base64');
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

const kubeconfig = (user: object) =>
  JSON.stringify({
    clusters: [{ name: 'a', cluster: { server: 'https://192.0.2.1:6443' } }],
    users: [{ name: 'a', user }],
    contexts: [{ name: 'a', context: { cluster: 'a', user: 'a' } }],
    'current-context': 'a',
  });

test('D23 the end of the client certificate is read from the kubeconfig', () => {
  const end = certificateEnd(kubeconfig({ 'client-certificate-data': certificate(30) })) ?? 0;
  assert.ok(Math.abs(end - Date.now() - 30 * day) < day, String(end));
});

test('a token, no user and what is no kubeconfig have no end', () => {
  for (const text of [kubeconfig({ token: 'x' }), '{}', ': nothing', kubeconfig({ 'client-certificate-data': 'eA==' })])
    assert.is(certificateEnd(text), undefined);
});

test('a renewed certificate is seen, and a member that is gone is forgotten', () => {
  const ends = createCertificateEnds();
  const [old, renewed] = [30, 365].map((days) => kubeconfig({ 'client-certificate-data': certificate(days) }));
  const before = ends('a', old) ?? 0;
  assert.is(ends('a', old), before);
  assert.ok((ends('a', renewed) ?? 0) > before + 300 * day);
  assert.is(ends('a', undefined), undefined);
});

test.run();
