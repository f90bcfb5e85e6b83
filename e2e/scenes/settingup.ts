// From nothing to a miner with two GPU servers.

import { serverConfig } from '@miner/controller/domain/config.ts';
import { configFor, renderTree } from '@miner/manifests/render.ts';
import * as assert from 'uvu/assert';
import { readObjects } from '../cluster/kube.ts';
import { serverFile } from '../miner.ts';
import { type Suite, until, untilSynced } from '../scene.ts';

export function settingUp(test: Suite): void {
  test('an empty control cluster and a fresh cluster repository become a control plane, applied by Argo CD', async (scene) => {
    const { fleet, miner } = scene;
    await untilSynced(scene, 'argocd');
    await untilSynced(scene, 'control');
    const deployments = await fleet.control.kube.list('apps/v1/deployments', 'chutes');
    const names = deployments.map(({ metadata }) => metadata.name);
    for (const name of ['controller', 'gepetto', 'postgres', 'redis']) assert.ok(names.includes(name), name);
    assert.equal(
      (await miner.status()).validators.map(({ connected }) => connected),
      [true],
    );
  });
}
