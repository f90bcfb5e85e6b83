// Every object that the charts render, as a real API server takes it: server-side apply with dryRun=All, so that defaults, validation and
// admission are its own. What it warns of is a failure too.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { minerConfig, serverConfig } from '@miner/controller/domain/config.ts';
import { config, render } from '@miner/manifests/fixtures.ts';
import { renderTree } from '@miner/manifests/render.ts';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { installArgoCd } from './cluster/argocd.ts';
import { type ControlPlane, startControlPlane } from './cluster/controlplane.ts';
import { type KubeObject, readObjects } from './cluster/kube.ts';
import { ensureTools } from './cluster/tools.ts';

const dryRun = suite<{ dir: string; plane: ControlPlane }>('dry run');

const [validator] = config.validators;
const base = { hotkey: config.hotkey, validators: config.validators };
const hosted = { git: { mode: 'external', url: 'https://git.example/miner/cluster.git' } };
const variants: Record<string, { settings?: object; server?: object; servers: number }> = {
  'a miner without servers': { servers: 0 },
  'one server': { servers: 1 },
  'three servers': { servers: 3 },
  'a git host': { settings: hosted, servers: 1 },
  'the registry asked directly': { settings: { registry: { mode: 'direct' } }, servers: 1 },
  'servers that are attested': { server: { registryMode: 'direct' }, servers: 2 },
};

function treeOf({ settings = {}, server = {}, servers }: (typeof variants)[string]): ReadonlyMap<string, string> {
  const files = new Map(
    Array.from({ length: servers }, (_, i) => {
      const name = `gpu-${i + 1}`;
      const agentApi = `http://203.0.113.${i + 1}:32000`;
      const told = { name, validator: validator?.hotkey, hourlyCost: 1.5, gpuShortRef: 'h100_sxm', agentApi };
      return [name, serverConfig.parse({ ...told, ...server })];
    }),
  );
  return renderTree(minerConfig.parse({ ...base, ...settings }), files);
}

dryRun.before(async (scene) => {
  const tools = await ensureTools({ tell: console.log });
  scene.dir = mkdtempSync(join(tmpdir(), 'dry-run-'));
  scene.plane = await startControlPlane({ name: 'dry-run', dir: scene.dir, tools });
  await installArgoCd(scene.plane, tools);
});
dryRun.after(async ({ plane, dir }) => {
  await plane?.stop();
  if (dir) rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
});

/** Namespaces have to be there before what is in them can be tried. */
async function tried({ kube }: ControlPlane, objects: readonly KubeObject[]): Promise<void> {
  const needed = new Set(objects.flatMap(({ metadata }) => metadata.namespace ?? []));
  for (const name of needed) await kube.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  const refused: string[] = [];
  for (const object of objects) {
    const { kind, metadata } = object;
    const warnings = await kube.dryRun(object).catch((error: Error) => [error.message]);
    refused.push(...warnings.map((warning) => `${kind} ${metadata.namespace ?? ''}/${metadata.name}: ${warning}`));
  }
  assert.equal(refused, []);
}

for (const [what, variant] of Object.entries(variants))
  dryRun(`the API server takes every object of ${what}, without a warning`, async ({ plane }) => {
    const objects = [...treeOf(variant)]
      .filter(([path]) => path.endsWith('.yaml'))
      .flatMap(([, text]) => readObjects(text));
    assert.ok(objects.length > 30, `${objects.length} objects`);
    await tried(plane, objects);
  });

dryRun('the API server takes a chute, without a warning', async ({ plane }) => {
  await tried(plane, readObjects(render()));
});

dryRun('what it does not know is refused, and what is out of date is warned of', async ({ plane }) => {
  const metadata = { name: 'x', namespace: 'default' };
  const [warning] = await plane.kube.dryRun({ apiVersion: 'v1', kind: 'Endpoints', metadata });
  assert.match(warning ?? 'no warning', /deprecated/);
  const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata, dada: { a: 'b' } };
  const said = await plane.kube.dryRun(object).catch((error: Error) => error.message);
  assert.match(String(said), /dada/);
});

dryRun.run();
