// `GET /miner/instance_logs`: what happened to an instance until it was active, for whoever holds its launch token (protocol.md 6.2). The
// lines are the validator's own; a simulated pod prints nothing.

import { type Answer, type Call, Refusal, type Route } from './http.ts';
import { configOfBearer } from './launch.ts';
import type { InstanceState } from './records.ts';
import { iso, type World } from './world.ts';

const longestMs = 300_000;
const lookEveryMs = 1000;
/** Keeps connections open on which nothing happens. */
const keepAlive = '.';

interface LogLine {
  at: number;
  log: string;
}

function linesOf(instance: InstanceState): LogLine[] {
  const { createdAt, verifiedAt, activatedAt, nodeIds, gpuModel, host, portMappings } = instance;
  const place = `${host}:${portMappings[0]?.external_port ?? 0}`;
  const steps: [number | null, string][] = [
    [createdAt, `instance ${instance.instanceId} claimed at ${place} with ${nodeIds.length} × ${gpuModel}`],
    [verifiedAt, 'the proof of the GPUs is accepted'],
    [activatedAt, 'the instance is active'],
  ];
  return steps.flatMap(([at, log]) => (at === null ? [] : [{ at, log }]));
}

/** Lines after `cursor` (ms), then those that come, until the instance is active or gone, or time is up. */
async function* follow(world: World, instance: InstanceState, cursor: number): AsyncGenerator<string> {
  const until = world.clock.now() + longestMs;
  for (let shown = 0; ; ) {
    const lines = linesOf(instance);
    const fresh = lines.slice(shown).filter(({ at }) => at > cursor);
    shown = lines.length;
    for (const { at, log } of fresh) yield JSON.stringify({ log, cursor: iso(at) });
    const isOver = instance.activatedAt !== null || !Object.hasOwn(world.state.instances, instance.instanceId);
    if (isOver || world.signal.aborted || world.clock.now() >= until) return;
    if (fresh.length === 0) yield keepAlive;
    await world.clock.sleep(lookEveryMs, world.signal);
  }
}

async function instanceLogs(world: World, call: Call): Promise<Answer> {
  const config = await configOfBearer(world, call);
  if (world.state.blacklist.includes(config.minerHotkey)) throw new Refusal(403, 'the miner is blacklisted');
  const cursor = call.query.cursor === undefined ? Number.NEGATIVE_INFINITY : Date.parse(call.query.cursor);
  if (Number.isNaN(cursor)) throw new Refusal(422, 'cursor is no time');
  const instance = config.instanceId === null ? undefined : world.state.instances[config.instanceId];
  if (!instance) throw new Refusal(404, 'no instance was made with this token, or it is gone');
  return { events: follow(world, instance, cursor) };
}

export function logRoutes(world: World): Route[] {
  if (world.generation === 'v25') return [];
  return [
    { method: 'GET', path: '/miner/instance_logs', signed: 'token', handle: (call) => instanceLogs(world, call) },
  ];
}
