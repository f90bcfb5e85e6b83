// Why a chute gets no deployment (more) now: the first thing that stands against it, in words for a person. Asks the same questions as the
// planner, of the same world.

import type { Chute } from '../domain/chute.ts';
import type { Policy } from '../domain/policy.ts';
import { type Obstacle, obstacleOf } from './candidates.ts';
import type { Plan } from './plan.ts';
import { allowanceOf } from './policy.ts';
import { roomOf } from './room.ts';
import { type Backoff, type Memory, modelKey, pairKey, type World } from './world.ts';

export interface WhyNotInput {
  world: World;
  policy: Policy;
  memory: Memory;
  /** Made of this world. */
  planned: Pick<Plan, 'deploys' | 'preemptions'>;
  now: number;
}

const sentences: Record<Exclude<Obstacle, 'back-off'>, string> = {
  'job-only': 'it runs rentals only, and is deployed for an offer',
  disabled: 'the validator has disabled it',
  library: 'its library is older than 0.3.0 and would have to be announced, which validators no longer take',
  'no-pay': 'it pays nothing: its multiplier is not above 0',
  gone: 'the validator says that it is gone',
  'not-scalable': 'the validator takes no more instances of it now (scalable is false)',
  updating: 'the validator is updating it',
  full: 'the validator wants no more instances than run or are on their way',
};

/** One sentence or several; never empty. */
export function whyNot(chute: Chute, input: WhyNotInput): string[] {
  const { world, policy, memory, planned, now } = input;
  const chosen = [...planned.deploys, ...planned.preemptions.map(({ deploy }) => deploy)];
  const own = chosen.find(({ spec }) => spec.chuteId === chute.chuteId);
  if (own) return [`nothing stands against it: it would be deployed on ${own.spec.server} now`];
  const obstacle = obstacleOf(chute, world, memory, now);
  if (obstacle === 'back-off')
    return [waiting('the validator refused its last launch', memory.refusals.get(chute.chuteId))];
  if (obstacle) return [sentences[obstacle]];
  if (policy.mode === 'paused') return ['policy.mode is paused'];
  const rule = allowanceOf(world, policy, now).bars({ chute, gpuCount: chute.gpuCount });
  if (rule) return [`policy.${rule} holds it back`];
  return placeless(chute, input);
}

function placeless(chute: Chute, { world, memory, now }: WhyNotInput): string[] {
  const { supportedGpus, gpuCount, tee, validator } = chute;
  const models = new Set(supportedGpus);
  const hasModel = world.servers.filter(({ gpus }) => gpus.some(({ model }) => models.has(model)));
  if (hasModel.length === 0) return [`no server has a GPU that it runs on: ${supportedGpus.join(', ')}`];
  const suited = hasModel.filter((server) => server.tee === tee && server.validator === validator);
  if (suited.length === 0) {
    return [
      `${counted(hasModel.length)} its GPUs, but ${tee ? 'none is a TEE server' : 'none that is no TEE server'} of its validator`,
    ];
  }
  const rooms = roomOf(world);
  const open = suited.flatMap(({ name }) => rooms.get(name) ?? []);
  if (open.length === 0)
    return [`${counted(suited.length)} its GPUs; all are locked, cordoned, not healthy, or not on main yet`];
  const free = open.map(({ freeGpus }) =>
    Math.max(0, ...supportedGpus.map((model) => freeGpus.get(model)?.length ?? 0)),
  );
  const found: string[] = [];
  for (const [i, { server }] of open.entries()) {
    if ((free[i] ?? 0) < gpuCount) continue;
    const keys = [
      pairKey(chute.chuteId, server.name),
      server.name,
      ...supportedGpus.map((model) => modelKey(chute, model)),
    ];
    const failed = keys.map((key) => memory.failures.get(key)).find((one) => one !== undefined && one.until > now);
    if (failed) found.push(waiting(`on ${server.name} a launch failed`, failed));
  }
  const most = Math.max(...free);
  if (most < gpuCount) {
    found.push(`it needs ${gpuCount} free GPUs on one server, and ${most} are free on the best of those that it suits`);
    found.push(
      'what runs there earns more in the next hours, or may not be removed: young, private, a rental, the last on the network',
    );
  } else if (found.length === 0) {
    found.push(
      'there is room, but others are worth more there, or the policy or the disk of those servers leaves none',
    );
  }
  return found;
}

function counted(servers: number): string {
  return servers === 1 ? '1 server has' : `${servers} servers have`;
}

function waiting(what: string, backoff: Backoff | undefined): string {
  if (!backoff) return what;
  return `${what} (${backoff.because}); tried again after ${new Date(backoff.until).toISOString()}`;
}
