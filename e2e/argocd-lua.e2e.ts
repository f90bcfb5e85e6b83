// Health and actions as Argo CD itself computes them: its own command line runs our Lua on fixtures. Needs no cluster.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { lockedAnnotation, lockLabel, serverLabel } from '@miner/controller/domain/lockrequest.ts';
import { claims, jobs, pods } from '@miner/manifests/testing/health-cases.ts';
import { configWith, objectsOf, the } from '@miner/manifests/testing/tree.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ensureTools } from './cluster/tools.ts';

const run = promisify(execFile);
const { bin } = await ensureTools({ tell: console.log });
const dir = mkdtempSync(join(tmpdir(), 'argocd-lua-'));
process.on('exit', () => rmSync(dir, { recursive: true, force: true }));
const { path, ...settings } = the(objectsOf(configWith()), 'ConfigMap', 'argocd-cm');
writeFileSync(join(dir, 'argocd-cm.yaml'), JSON.stringify(settings));

async function argocd(command: string, object: object, ...more: string[]): Promise<string> {
  const file = join(dir, 'object.yaml');
  writeFileSync(file, JSON.stringify(object));
  const args = ['admin', 'settings', 'resource-overrides', command, file, ...more];
  const { stdout } = await run(join(bin, 'argocd'), [...args, '--argocd-cm-path', join(dir, 'argocd-cm.yaml')], {
    timeout: 60_000,
  });
  return stdout;
}

for (const [apiVersion, kind, cases] of [
  ['batch/v1', 'Job', jobs],
  ['v1', 'Pod', pods],
  ['v1', 'PersistentVolumeClaim', claims],
] as const)
  for (const [what, object, status, message] of cases)
    test(`${kind}: Argo CD calls ${what} ${status}, and says why`, async () => {
      const metadata = { name: 'x', namespace: 'chutes', ...('metadata' in object && (object.metadata as object)) };
      const said = await argocd('health', { ...object, apiVersion, kind, metadata });
      assert.is(said, `STATUS: ${status}\nMESSAGE: ${message}\n`);
    });

test('what is being deleted is judged by Argo CD itself, whatever the Lua says', async () => {
  const metadata = { name: 'x', namespace: 'chutes', deletionTimestamp: '2026-01-01T00:00:00Z' };
  const status = { conditions: [{ type: 'Failed', status: 'True' }] };
  const said = await argocd('health', { apiVersion: 'batch/v1', kind: 'Job', metadata, status });
  assert.is(said, 'STATUS: Progressing\nMESSAGE: Pending deletion\n');
});

test('a Job has no actions', async () => {
  const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'x', namespace: 'chutes' }, spec: {} };
  assert.match(await argocd('list-actions', job), /^NAME +DISABLED\s*$/);
});

const application = (labels: Record<string, string>, locked = 'false') => ({
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'Application',
  metadata: { name: 'members-gpu-1', namespace: 'argocd', labels, annotations: { [lockedAnnotation]: locked } },
  spec: {},
});
const ofServer = { [serverLabel]: 'gpu-1' };

for (const [what, object, lock, unlock] of [
  ['is not locked', application(ofServer), 'false', 'true'],
  ['is locked', application(ofServer, 'true'), 'true', 'false'],
  ['is about to be locked', application({ ...ofServer, [lockLabel]: 'lock' }), 'true', 'false'],
  ['is about to be unlocked', application({ ...ofServer, [lockLabel]: 'unlock' }, 'true'), 'false', 'true'],
] as const)
  test(`a server that ${what} offers the other button`, async () => {
    const offered = (await argocd('list-actions', object)).trim().split(/\s+/).slice(2);
    assert.equal(Object.fromEntries([offered.slice(0, 2), offered.slice(2, 4)]), { lock, unlock });
  });

test('an Application that is for no server has neither button', async () => {
  assert.match(await argocd('list-actions', application({})), /^NAME +DISABLED\s*$/);
});

for (const action of ['lock', 'unlock'])
  test(`${action} sets the label that the controller looks for, and changes nothing else`, async () => {
    const before = application(ofServer);
    const said = await argocd('run-action', before, action);
    // Argo CD prints the object's lines that changed, or all of it.
    assert.match(said, new RegExp(`chutes-miner\\.io/lock: "?${action}"?`));
  });

for (const [kind, annotations] of [
  ['Deployment', undefined],
  ['DaemonSet', { a: 'b' }],
] as const)
  test(`a ${kind} can be restarted, and nothing else`, async () => {
    const template = {
      metadata: { labels: { a: 'b' }, ...(annotations && { annotations }) },
      spec: { containers: [] },
    };
    const spec = { selector: { matchLabels: { a: 'b' } }, template };
    const object = { apiVersion: 'apps/v1', kind, metadata: { name: 'x', namespace: 'chutes' }, spec };
    assert.match(await argocd('list-actions', object), /^NAME +DISABLED\s*\nrestart +false\s*$/);
    assert.match(await argocd('run-action', object, 'restart'), /restartedAt: "?\d{4}-\d\d-\d\dT[\d:]{8}Z/);
  });

test.run();
