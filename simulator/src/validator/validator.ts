// A stand-in for the chutes.ai validator: real HTTP and socket.io on one port, the network's rules, no GPU. It is the composition of the
// parts in this folder; its whole state can live in a file, so that a restart goes on where it stopped.

import { randomBytes } from 'node:crypto';
import type { Clock } from '@miner/controller/domain/clock.ts';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { Random } from '@miner/controller/domain/random.ts';
import { type Catalogue, loadCatalogue } from '../catalogue.ts';
import { defaultSizes } from '../refc1.ts';
import { hotkeyFromSeed } from '../sr25519.ts';
import { type Actions, createActions, newChuteState } from './actions.ts';
import { advance } from './advance.ts';
import { announceRoutes } from './announce.ts';
import { auditRoutes } from './audit.ts';
import { claimRoutes } from './claim.ts';
import { feedRoutes } from './feeds.ts';
import { createHttp } from './http.ts';
import { instanceRoutes } from './instances.ts';
import { jobRoutes } from './jobs.ts';
import { launchRoutes } from './launch.ts';
import { logRoutes } from './logs.ts';
import { nodeRoutes } from './nodes.ts';
import { proofRoutes } from './proof.ts';
import { readRoutes } from './reads.ts';
import type { AuditState, ValidatorState } from './records.ts';
import { createSocket, type MinerSocket } from './socket.ts';
import { emptyState, loadState, stateWriter } from './state.ts';
import { teeServerRoutes } from './teeservers.ts';
import { startVerification } from './verification.ts';
import { type ChuteView, statsOf, type ValidatorStats, viewChutes } from './views.ts';
import type { Generation, GravalOptions, World } from './world.ts';

/** Real milliseconds between two looks at what is due on the simulated clock. */
const advanceEveryMs = 50;

export interface ValidatorOptions {
  /** Default `127.0.0.1`. */
  host?: string;
  /** Default 0: any free port. A restart needs the same one, since launch tokens name it. */
  port?: number;
  /** `seed`: 64 hex digits, with or without `0x`. */
  hotkey: { ss58: string; seed: string };
  clock: Clock;
  catalogue?: Catalogue;
  /** Hotkeys (ss58) whose requests are accepted. */
  registeredHotkeys: readonly string[];
  stateFile?: string;
  /** Accept GPU nodes at addresses that are not public. Default false. */
  allowPrivateHosts?: boolean;
  /** Offer the routes with which miners announced instances of libraries before 0.3.0. Default false. */
  announcements?: boolean;
  random: Random;
  /** Default `v26`. */
  generation?: Generation;
  graval?: Partial<GravalOptions>;
  log?: (event: string, fields: Record<string, unknown>) => void;
}

export interface SimulatedValidator extends Actions {
  /** Base URL of the HTTP API, without a slash at the end. */
  readonly url: string;
  readonly socketUrl: string;
  /** Hotkey of the validator (ss58). */
  readonly hotkey: string;
  stats(): ValidatorStats;
  /** Every chute with what runs of it. */
  chutes(): ChuteView[];
  /** Reports of the miners on themselves, oldest first. */
  audits(): AuditState[];
  /** Miner sockets that are connected. */
  connections(): number;
  close(): Promise<void>;
}

/** In the catalogue's market every public chute runs elsewhere at its target: room for this miner comes from the scenario. */
function fillMarket(state: ValidatorState, catalogue: Catalogue, random: Random): void {
  for (const [chuteId, entry] of catalogue.chutes) {
    const othersActive = entry.item.public && !entry.item.disabled ? 1 + Math.floor(random() * 6) : 0;
    state.chutes[chuteId] = newChuteState(entry, { targetCount: othersActive, othersActive });
  }
}

/**
 * Start listening. Rejects with E-HOTKEY when seed and address do not belong together, E-STORE for an unusable state file, E-IN-USE when
 * the port is taken.
 */
export async function startValidator(options: ValidatorOptions): Promise<SimulatedValidator> {
  const { host = '127.0.0.1', port = 0, clock, random, registeredHotkeys, stateFile } = options;
  const catalogue = options.catalogue ?? loadCatalogue();
  const hotkey = hotkeyFromSeed(options.hotkey.seed.replace(/^0x/, ''));
  if (hotkey.ss58 !== options.hotkey.ss58) {
    throw new MinerError('E-HOTKEY', `the validator's seed belongs to ${hotkey.ss58}, not to ${options.hotkey.ss58}`);
  }
  const saved = stateFile === undefined ? undefined : loadState(stateFile);
  const state = saved ?? emptyState(randomBytes(32).toString('base64'));
  if (!saved) fillMarket(state, catalogue, random);
  const writer = stateWriter(stateFile, state);
  const closing = new AbortController();
  let url = '';
  let socket: MinerSocket | undefined;
  const world: World = {
    state,
    catalogue,
    clock,
    random,
    hotkey,
    registered: new Set(registeredHotkeys),
    generation: options.generation ?? 'v26',
    allowPrivateHosts: options.allowPrivateHosts ?? false,
    announcements: options.announcements ?? false,
    graval: { sizes: defaultSizes, infoRounds: 3, timing: true, ...options.graval },
    url: () => url,
    emit: (reason, data, recipients) => socket?.broadcast(reason, data, recipients),
    violation(code, detail) {
      state.violations.push({ at: clock.now(), code, detail });
      world.log('violation', { code, detail });
      writer.changed();
    },
    changed: writer.changed,
    log: options.log ?? (() => undefined),
    signal: closing.signal,
  };
  const parts = [
    nodeRoutes,
    teeServerRoutes,
    feedRoutes,
    readRoutes,
    launchRoutes,
    claimRoutes,
    proofRoutes,
    instanceRoutes,
    announceRoutes,
    jobRoutes,
    logRoutes,
    auditRoutes,
  ];
  const app = createHttp(
    world,
    parts.flatMap((routes) => routes(world)),
  );
  socket = createSocket(app.server, world);
  try {
    url = await app.listen({ host, port });
  } catch (cause) {
    throw new MinerError('E-IN-USE', `the validator cannot listen on ${host}:${port}: ${messageOf(cause)}`, { cause });
  }
  const timer = setInterval(() => advance(world), advanceEveryMs);
  for (const task of Object.values(state.tasks)) if (task.status === 'pending') startVerification(world, task.taskId);
  return {
    url,
    socketUrl: url.replace(/^http/, 'ws'),
    hotkey: hotkey.ss58,
    ...createActions(world),
    stats: () => statsOf(world),
    chutes: () => viewChutes(world),
    audits: () => [...world.state.audits],
    connections: () => socket?.connections() ?? 0,
    async close() {
      clearInterval(timer);
      closing.abort();
      socket?.close();
      await app.close();
      writer.flush();
    },
  };
}
