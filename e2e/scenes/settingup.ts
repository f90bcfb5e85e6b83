// From nothing to a miner with two GPU servers.

import * as assert from 'uvu/assert';
import { renderedFor, serverFile, writeServerFile } from '../miner.ts';
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

  test('a server whose file is pushed to main gets its parts from Argo CD, is verified and taken in', async (scene) => {
    const { fleet, miner } = scene;
    const [first] = fleet.servers;
    assert.ok(first);
    const { name } = first.server;
    writeServerFile(miner, name);
    await miner.startAgent(name);
    await untilSynced(scene, `members-${name}`);
    const added = await until(`${name} is in the inventory, verified`, async () => {
      const found = (await miner.status()).servers.find((one) => one.name === name);
      return found && found.gpusVerified === found.gpus && found.health === 'healthy' && found;
    });
    assert.is(added.gpus, first.server.gpuCount);
    await untilSynced(scene, `chutes-${name}`);
  });

  test('a server that is set up by hand is added through the miner API, and Argo CD takes its parts over', async (scene) => {
    const { fleet, miner } = scene;
    const second = fleet.servers[1];
    assert.ok(second);
    const { name } = second.server;
    await second.plane.kube.apply(...renderedFor(fleet, name));
    await miner.startAgent(name);
    const { validator, hourlyCost, gpuShortRef, agentApi } = serverFile(fleet, name);
    const said: string[] = [];
    await miner.api.addNode(
      { name, validator, hourly_cost: hourlyCost, gpu_short_ref: gpuShortRef, agent_api: agentApi },
      ({ message }) => said.push(message),
    );
    assert.match(said.at(-1) ?? '', /completed server bootstrapping/);
    await untilSynced(scene, `members-${name}`);
    await untilSynced(scene, `chutes-${name}`);
  });
}
