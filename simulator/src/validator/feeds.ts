// The inventory streams (protocol.md 6.1): one `data:` line per object. In an outage they fail, or arrive without a line.

import { type Answer, type Call, Refusal, type Route } from './http.ts';
import { activeTotal, allChutes, type Chute, feedItem, findChute, offer, runMultiplier } from './market.ts';
import { nodeItem } from './nodes.ts';
import { currentMultiplier } from './pay.ts';
import type { InstanceState } from './records.ts';
import { iso, isoOrNull, type World } from './world.ts';

/** 503 while the validator is out of order; `items`, or nothing in an outage of mode `empty`. */
export function unlessOut<T>(world: World, items: () => T[]): T[] {
  if (world.state.outage === 'error') throw new Refusal(503, 'the validator is out of order');
  return world.state.outage === 'empty' ? [] : items();
}

export function multiplierOf(world: World, instance: InstanceState): number {
  const chute = findChute(world, instance.chuteId);
  return chute ? currentMultiplier(instance, runMultiplier(chute), world.clock.now()) : instance.cm0;
}

/** An instance as its own miner sees it. */
export function instanceItem(world: World, instance: InstanceState): Record<string, unknown> {
  const { createdAt, verifiedAt, activatedAt, lostAt } = instance;
  const item = findChute(world, instance.chuteId)?.entry.item;
  const older = {
    host: instance.host,
    port: instance.portMappings[0]?.external_port ?? null,
    symmetric_key: null,
    port_mappings: instance.portMappings,
  };
  return {
    instance_id: instance.instanceId,
    ...(world.generation === 'v25' ? older : {}),
    chute_id: instance.chuteId,
    version: instance.version,
    miner_uid: 1,
    miner_hotkey: instance.minerHotkey,
    miner_coldkey: instance.minerHotkey,
    region: 'n/a',
    active: activatedAt !== null,
    verified: verifiedAt !== null,
    last_queried_at: null,
    created_at: iso(createdAt),
    updated_at: iso(activatedAt ?? verifiedAt ?? createdAt),
    activated_at: isoOrNull(activatedAt),
    last_verified_at: isoOrNull(verifiedAt),
    stop_billing_at: null,
    billed_to: null,
    verification_error: instance.verificationError,
    consecutive_failures: lostAt === null ? 0 : 1 + Math.floor((world.clock.now() - lostAt) / 60_000),
    chutes_version: item?.chutes_version ?? null,
    config_id: instance.configId,
    cacert: null,
    hourly_rate: null,
    compute_multiplier: activatedAt === null ? null : multiplierOf(world, instance),
  };
}

function imageItem({ entry }: Chute): Record<string, unknown> {
  const [, username, name, tag] = /^([^/]+)\/(.+):([^:]+)$/.exec(entry.item.image) ?? [];
  const { image_id, user_id, created_at } = entry.item;
  return {
    image_id,
    user_id,
    name,
    tag,
    readme: null,
    logo_id: null,
    public: true,
    status: 'built and pushed',
    created_at,
    chutes_version: entry.item.chutes_version,
    patch_version: 'initial',
    build_started_at: created_at,
    build_completed_at: created_at,
    username,
  };
}

function metricsItem(world: World, chute: Chute): Record<string, unknown> {
  const active = activeTotal(world, chute);
  const wanted = chute.state.targetCount;
  const now = world.clock.now();
  const seconds = 1800 * Math.min(active, wanted);
  return {
    chute_id: chute.state.chuteId,
    start_date: iso(now - 3_600_000),
    end_date: iso(now),
    compute_multiplier: offer(world, chute),
    total_invocations: seconds / 2,
    total_compute_time: seconds,
    error_count: 0,
    rate_limit_count: 60 * Math.max(0, wanted - active),
    instance_count: active,
    per_second_price_usd: 0,
    total_usage_usd: 0,
  };
}

function openJobs(world: World): Record<string, unknown>[] {
  const open = Object.values(world.state.jobs).filter((job) => job.instanceId === null && job.finishedAt === null);
  return open.map((job) => ({
    job_id: job.jobId,
    chute_id: job.chuteId,
    method: job.method,
    created_at: iso(job.createdAt),
    compute_multiplier: job.computeMultiplier,
  }));
}

export function feedRoutes(world: World): Route[] {
  function feed(path: string, items: (call: Call) => unknown[], explicitEmpty = false): Route {
    function handle(call: Call): Answer {
      const asked = explicitEmpty && /^true$/i.test(call.query.explicit_null ?? '') && world.state.outage === 'none';
      const stream = { items: unlessOut(world, () => items(call)) };
      return { stream: asked ? { ...stream, marker: 'NO_ITEMS' } : stream };
    }
    return { method: 'GET', path, signed: 'miner', handle };
  }
  const { nodes, instances } = world.state;
  const images = () => new Map(allChutes(world).map((chute) => [chute.entry.item.image_id, imageItem(chute)]));
  return [
    feed('/miner/chutes/', () => allChutes(world).map((chute) => feedItem(world, chute))),
    feed('/miner/images/', () => [...images().values()]),
    feed('/miner/nodes/', ({ hotkey }) =>
      Object.values(nodes)
        .filter((node) => node.minerHotkey === hotkey)
        .map(nodeItem),
    ),
    feed(
      '/miner/instances/',
      ({ hotkey }) =>
        Object.values(instances)
          .filter((instance) => instance.minerHotkey === hotkey)
          .map((instance) => instanceItem(world, instance)),
      true,
    ),
    feed('/miner/metrics/', () => allChutes(world).map((chute) => metricsItem(world, chute))),
    feed('/miner/jobs/', () => openJobs(world)),
  ];
}
