// Plain JSON reads (protocol.md 6.2), the GPU table, and the registry's question whether a miner may pull (5).

import { gpuTable } from '@miner/controller/domain/gputable.ts';
import { multiplierOf, unlessOut } from './feeds.ts';
import { type Call, Refusal, type Route, type Signed } from './http.ts';
import { cooldowns } from './lifecycle.ts';
import { activeTotal, allChutes, type Chute, feedItem, findChute, hasRoom, offer } from './market.ts';
import { nodesOf, ownServers } from './nodes.ts';
import { iso, isoOrNull, type World } from './world.ts';

function oneChute(world: World, call: Call): unknown {
  const { chute_id: chuteId = '', version } = call.params;
  unlessOut(world, () => []);
  const chute = findChute(world, chuteId);
  if (!chute || chute.state.version !== version) throw new Refusal(404, 'no such chute or version');
  return feedItem(world, chute);
}

function utilizationItem(world: World, chute: Chute): Record<string, unknown> {
  const { state, entry } = chute;
  const active = activeTotal(world, chute);
  const busy = active === 0 ? 0 : Math.min(1, (0.6 * state.targetCount) / active);
  const limited = active < state.targetCount ? 0.1 : 0;
  const spans = ['current', '5m', '15m', '1h'];
  const per = (name: string, value: number) => Object.fromEntries(spans.map((span) => [`${name}_${span}`, value]));
  return {
    chute_id: state.chuteId,
    name: entry.item.name,
    timestamp: iso(world.clock.now()),
    ...per('utilization', busy),
    ...per('rate_limit_ratio', limited),
    ...per('total_requests', 100 * active),
    ...per('completed_requests', 100 * active * (1 - limited)),
    ...per('rate_limited_requests', 100 * active * limited),
    instance_count: active,
    action_taken: active < state.targetCount ? 'scale_up_candidate' : 'no_action',
    target_count: state.targetCount,
    ...(world.generation === 'v25' ? { update_in_progress: state.rolling !== null } : {}),
    total_instance_count: active,
    active_instance_count: active,
    scalable: hasRoom(world, chute),
    scale_allowance: Math.max(0, state.targetCount - active),
    avg_busy_ratio: busy,
    total_invocations: 100 * active,
    total_rate_limit_errors: 100 * active * limited,
  };
}

function rollingItem({ state }: Chute): Record<string, unknown>[] {
  if (!state.rolling) return [];
  const { oldVersion, newVersion, startedAt, permitted } = state.rolling;
  return [
    {
      chute_id: state.chuteId,
      old_version: oldVersion,
      new_version: newVersion,
      started_at: iso(startedAt),
      permitted,
    },
  ];
}

function activeInstances(world: World): Record<string, unknown>[] {
  const own = Object.values(world.state.instances).filter(({ activatedAt }) => activatedAt !== null);
  const shown = own.map((instance) => ({
    instance_id: instance.instanceId,
    miner_hotkey: instance.minerHotkey,
    chute_id: instance.chuteId,
    activated_at: isoOrNull(instance.activatedAt),
    compute_multiplier: multiplierOf(world, instance),
  }));
  const others = allChutes(world).flatMap((chute) =>
    Array.from({ length: chute.state.othersActive }, (_, i) => ({
      instance_id: `${chute.state.chuteId}-${i}`,
      miner_hotkey: world.hotkey.ss58,
      chute_id: chute.state.chuteId,
      activated_at: iso(world.clock.now() - 86_400_000),
      compute_multiplier: offer(world, chute),
    })),
  );
  return [...shown, ...others];
}

function serverItems(world: World, hotkey: string): Record<string, unknown>[] {
  return ownServers(world, hotkey).map(({ serverId, name, ip, isTee = false, createdAt, updatedAt }) => ({
    server_id: serverId,
    name,
    ip,
    is_tee: isTee,
    version: null,
    maintenance_pending: false,
    created_at: iso(createdAt),
    updated_at: iso(updatedAt),
    gpus: nodesOf(world, serverId).map((node) => ({
      uuid: node.uuid,
      gpu_identifier: node.gpu_identifier,
      device_index: node.device_index,
      verified_at: isoOrNull(node.verifiedAt),
      verification_error: node.verificationError,
    })),
  }));
}

function inventory(world: World, hotkey: string): Record<string, unknown>[] {
  const nodes = Object.values(world.state.nodes).filter(({ minerHotkey }) => minerHotkey === hotkey);
  return nodes.map((node) => {
    const instance = Object.values(world.state.instances).find(({ nodeIds }) => nodeIds.includes(node.uuid));
    const name = instance && findChute(world, instance.chuteId)?.entry.item.name;
    return {
      gpu_id: node.uuid,
      last_verified_at: isoOrNull(instance?.verifiedAt ?? null),
      verification_error: instance?.verificationError ?? null,
      active: instance !== undefined && instance.activatedAt !== null,
      chute_id: instance?.chuteId ?? null,
      chute_name: name ?? null,
    };
  });
}

function thrash(world: World, hotkey: string): Record<string, unknown>[] {
  return cooldowns(world, hotkey).map(({ chuteId, deletedAt, expiresAt }) => ({
    chute_id: chuteId,
    deleted_at: iso(deletedAt),
    cooldown_expires_at: iso(expiresAt),
  }));
}

/** `GET /nodes/supported`, keyed by short ref in table order. */
function supportedGpus(): Record<string, unknown> {
  return Object.fromEntries(
    gpuTable.map((model) => [
      model.ref,
      {
        model_name_check: model.name.source,
        memory: model.vramGb,
        processors: model.processors,
        clock_rate: { base: model.clockBase, boost: model.clockBoost },
        hourly_rate: model.hourlyRate,
        graval: { iterations: model.graval.iterations, estimate: model.graval.estimateSeconds },
      },
    ]),
  );
}

export function readRoutes(world: World): Route[] {
  function get(path: string, signed: Signed, body: (call: Call) => unknown): Route {
    return { method: 'GET', path, signed, handle: (call) => ({ body: body(call) }) };
  }
  // Older validators believe the header of this one route.
  const isOlder = world.generation === 'v25';
  const list = (items: (call: Call) => unknown[]) => (call: Call) => unlessOut(world, () => items(call));
  const routes = [
    get('/miner/chutes/:chute_id/:version', 'miner', (call) => oneChute(world, call)),
    get(
      '/chutes/utilization',
      'none',
      list(() => allChutes(world).map((chute) => utilizationItem(world, chute))),
    ),
    get(
      '/chutes/rolling_updates',
      'none',
      list(() => allChutes(world).flatMap(rollingItem)),
    ),
    get('/nodes/supported', 'none', () => {
      unlessOut(world, () => []);
      return supportedGpus();
    }),
    get(
      '/miner/inventory',
      isOlder ? 'none' : 'miner',
      list((call) => inventory(world, isOlder ? String(call.headers['x-chutes-hotkey']) : call.hotkey)),
    ),
    get('/registry/auth', 'registry', () => ({ authenticated: true })),
  ];
  if (isOlder) return routes;
  return [
    ...routes,
    get(
      '/miner/active_instances/',
      'miner',
      list(() => activeInstances(world)),
    ),
    get('/miner/servers/', 'miner', ({ hotkey }) => ({ servers: unlessOut(world, () => serverItems(world, hotkey)) })),
    get(
      '/miner/thrash_cooldowns',
      'miner',
      list(({ hotkey }) => thrash(world, hotkey)),
    ),
  ];
}
