// The world as the owner's strategy is asked about it: everything that could be started with the servers that suit, and everybody who
// might be removed for it. Pure, and made of plain data, because it goes to another process.

import type { Offer, Question } from '../domain/advice.ts';
import type { Chute } from '../domain/chute.ts';
import type { ChuteView, JobView, ServerView } from '../domain/hooks.ts';
import { kindKey, kindsOf } from './field.ts';
import { roomOf } from './room.ts';
import { runOf, tenantOf } from './tenants.ts';
import type { JobOffer, World } from './world.ts';

function jobView({ jobId, gpuCount, computeMultiplier, diskGb }: JobOffer): JobView {
  return { id: jobId, gpuCount, multiplier: computeMultiplier, diskGb };
}

/** Of all servers that may take something; those that are locked or out of reach are nobody's question. */
export function questionOf(world: World, now: number): Question {
  const servers: ServerView[] = [];
  const byKind = new Map<string, number[]>();
  const byGpu = new Map<string, number>();
  for (const [name, room] of roomOf(world)) {
    const { server } = room;
    for (const gpu of new Set(server.gpus.map(({ model }) => model))) {
      const here = server.gpus.filter(({ model }) => model === gpu);
      const kind = kindKey(server.validator, server.tee, gpu);
      const position = servers.length;
      const same = byKind.get(kind);
      if (same) same.push(position);
      else byKind.set(kind, [position]);
      for (const { gpuId } of here) byGpu.set(gpuId, position);
      servers.push({
        name,
        gpu,
        gpus: here.length,
        freeGpus: room.freeGpus.get(gpu)?.length ?? 0,
        hourlyCost: server.hourlyCost,
        tee: server.tee,
        leavingAt: world.sites?.get(name)?.leavingAt ?? null,
      });
    }
  }
  const viewOf = chuteViews(world);

  function offerOf(chute: Chute, job: JobOffer | undefined): Offer[] {
    const sites = kindsOf(chute).flatMap(({ kind, model }) => {
      const suiting = byKind.get(kind);
      return suiting ? [{ gpu: model, servers: suiting }] : [];
    });
    if (sites.length === 0) return [];
    return [{ key: job?.jobId ?? chute.chuteId, chute: viewOf(chute), job: job ? jobView(job) : null, sites }];
  }

  const chutes = [...world.chutes.values()].filter(({ disabled }) => !disabled);
  const jobs = [...(world.jobs?.values() ?? [])].filter(({ attempted }) => !attempted);
  const deployments: Question['deployments'][number][] = [];
  for (const spec of world.desired.values()) {
    const server = byGpu.get(spec.gpuIds[0] ?? '');
    const chute = world.chutes.get(spec.chuteId);
    const { terms, rate } = tenantOf(world, spec, world.lifecycles.get(spec.deploymentId), now);
    if (server === undefined || !chute || !terms || rate === undefined) continue;
    const { deploymentId: id, version, gpuIds } = spec;
    const deployment = { id, version, gpus: gpuIds.length, age: terms.age, multiplier: rate };
    deployments.push({ chute: viewOf(chute), server, deployment });
  }
  return {
    now,
    servers,
    offers: [
      ...chutes.filter(({ jobOnly }) => !jobOnly).flatMap((chute) => offerOf(chute, undefined)),
      ...jobs.flatMap((job) => {
        const chute = world.chutes.get(job.chuteId);
        return chute ? offerOf(chute, job) : [];
      }),
    ],
    deployments,
  };
}

function chuteViews(world: World): (chute: Chute) => ChuteView {
  const own = new Map<string, number>();
  for (const { chuteId, jobId } of world.desired.values()) {
    if (jobId === undefined) own.set(chuteId, (own.get(chuteId) ?? 0) + 1);
  }
  const known = new Map<string, ChuteView>();
  return (chute) => {
    const before = known.get(chute.chuteId);
    if (before) return before;
    const { chuteId: id, name, version, gpuCount, supportedGpus, tee, preemptible, bounty } = chute;
    const told = world.feeds.get(chute.validator)?.utilization.items.get(id);
    const view: ChuteView = {
      id,
      name,
      version,
      gpuCount,
      supportedGpus,
      tee,
      preemptible,
      multiplier: chute.effectiveComputeMultiplier,
      runMultiplier: runOf(chute, world.market?.get(id)),
      bounty,
      wanted: told?.targetCount ?? null,
      active: told?.activeInstanceCount ?? null,
      own: own.get(id) ?? 0,
    };
    known.set(id, view);
    return view;
  };
}
