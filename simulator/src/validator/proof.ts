// After the claim: the pod proves its GPUs and activates (protocol.md 6.4, graval.md 5). A wrong proof ends the instance.

import { createDecipheriv } from 'node:crypto';
import { z } from 'zod';
import { checkProof } from '../refc1.ts';
import { workProductShape } from '../refc1-wire.ts';
import { claimPath, expectedText, proofOf } from './claim.ts';
import { type Answer, bodyAs, type Call, Refusal, type Route } from './http.ts';
import { claimUrl, configOfToken } from './launch.ts';
import { activate, endInstance } from './lifecycle.ts';
import type { ConfigState, InstanceState } from './records.ts';
import { iso, type World } from './world.ts';

const proofPatience = 2.15;

const proofBody = z.object({
  response: z.string(),
  iv: z.string().regex(/^[0-9a-f]{32}$/),
  proof: z.record(z.string(), z.object({ work_product: workProductShape })),
});

function instanceOf(world: World, config: ConfigState): InstanceState {
  const instance = config.instanceId === null ? undefined : world.state.instances[config.instanceId];
  if (!instance) throw new Refusal(404, 'the instance is gone');
  return instance;
}

function decryptResponse(instance: InstanceState, { response, iv }: { response: string; iv: string }): string {
  const key = Buffer.from(instance.symmetricKey, 'hex');
  const decipher = createDecipheriv('aes-128-cbc', key, Buffer.from(iv, 'hex'));
  try {
    return decipher.update(response, 'base64', 'utf8') + decipher.final('utf8');
  } catch {
    return '';
  }
}

function proofRefusal(world: World, instance: InstanceState, body: z.infer<typeof proofBody>): string | undefined {
  const nodes = instance.nodeIds.flatMap((id) => world.state.nodes[id] ?? []);
  const node = nodes[Math.floor(world.random() * nodes.length)];
  if (!node || nodes.length !== instance.nodeIds.length) return 'a GPU of the instance is gone';
  const { iterations, estimateSeconds } = proofOf(node);
  const seconds = (world.clock.now() - instance.createdAt) / 1000;
  if (world.graval.timing && seconds > proofPatience * estimateSeconds)
    return `the proof took ${Math.round(seconds)} s`;
  if (decryptResponse(instance, body) !== expectedText(instance)) return 'the response is wrong';
  const proof = body.proof[node.uuid]?.work_product;
  const { sizes } = world.graval;
  const spot = {
    iteration: Math.floor(world.random() * iterations),
    index: Math.floor(world.random() * sizes.num),
  };
  const good = proof && checkProof(node, BigInt(instance.seed), { iterations, sizes }, proof, spot);
  return good ? undefined : `the proof of GPU ${node.uuid} is wrong`;
}

async function verify(world: World, call: Call): Promise<Answer> {
  const config = await configOfToken(world, call);
  const instance = instanceOf(world, config);
  const body = bodyAs(call, proofBody);
  if (instance.verifiedAt !== null) throw new Refusal(409, 'the instance is verified already');
  const refusal = proofRefusal(world, instance, body);
  if (refusal) {
    endInstance(world, instance, 'failed', refusal);
    throw new Refusal(403, refusal);
  }
  instance.verifiedAt = world.clock.now();
  const { instanceId: instance_id, minerHotkey: miner_hotkey } = instance;
  world.emit('instance_verified', { instance_id, miner_hotkey }, [miner_hotkey]);
  world.changed();
  const job = config.jobId === null ? undefined : world.state.jobs[config.jobId];
  return {
    body: {
      chute_id: instance.chuteId,
      instance_id,
      verified_at: iso(instance.verifiedAt),
      activation_url: `${claimUrl(world, config.configId)}/activate`,
      ...(job ? { job_id: job.jobId, job_method: job.method, job_data: {} } : {}),
    },
  };
}

async function activateInstance(world: World, call: Call): Promise<Answer> {
  const config = await configOfToken(world, call);
  const instance = instanceOf(world, config);
  if (instance.activatedAt !== null) return { body: { ok: true } };
  if (world.state.outage === 'error') throw new Refusal(503, 'the validator is out of order');
  if (instance.verifiedAt === null) throw new Refusal(403, 'the instance is not verified');
  const refusal = activate(world, instance);
  if (refusal) throw new Refusal(423, refusal);
  return { body: { ok: true } };
}

export function proofRoutes(world: World): Route[] {
  const path = `${claimPath}/activate`;
  return [
    { method: 'PUT', path: claimPath, signed: 'token', handle: (call) => verify(world, call) },
    { method: 'GET', path, signed: 'token', handle: (call) => activateInstance(world, call) },
  ];
}
