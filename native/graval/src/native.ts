// ogv1 on the engines of the addon: CUDA, CPU, and the CUDA kernels compiled for the CPU. One child process for each GPU; the session's
// secret key, the transcript and the clock stay here.

import { randomUUID } from 'node:crypto';
import type { EngineKind } from './addon.ts';
import {
  type DeviceInfo,
  type GravalBackend,
  GravalError,
  type OgvChallenge,
  type OgvOpening,
  type OgvProver,
  type RunOptions,
} from './backend.ts';
import { commitOf, contextOf, planOf, transcriptOf } from './ogv/protocol.ts';
import { type KeyPair, newKeyPair, unseal } from './ogv/release.ts';
import { ogvChallenge, ogvQueries } from './ogv/schemas.ts';
import type { CommitJob, CommitResult } from './ogv/session.ts';
import { startWorker, type Worker } from './process/worker.ts';

export interface NativeOptions {
  engine: EngineKind;
  /** Records of the GPUs. Needed unless the engine is CUDA, which asks the driver. */
  devices?: readonly DeviceInfo[] | undefined;
  /** CPU: threads (default: all) and instruction set (default: the best): avx512, avx2, plain. */
  threads?: number | undefined;
  lanes?: 'avx512' | 'avx2' | 'plain' | undefined;
  /** How long a session may wait for its next step; default 60,000. */
  sessionMs?: number | undefined;
  /** The session's key pair; given only where recorded values are compared. */
  newPair?: (() => KeyPair) | undefined;
}

interface Session {
  uuid: string;
  pair: KeyPair;
  sigma: Buffer;
  commit: Buffer;
  challenge: OgvChallenge;
  auditSeed?: string;
  timer: NodeJS.Timeout;
}

function ogvProver(
  options: NativeOptions,
  devices: () => Promise<DeviceInfo[]>,
  workerOf: (uuid: string) => Worker,
): OgvProver {
  const sessions = new Map<string, Session>();
  const taken = new Set<string>();

  function find(id: string): Session {
    const session = sessions.get(id);
    if (!session)
      throw new GravalError('BAD_INPUT', 'there is no such session: it was released, discarded or is too old');
    return session;
  }

  async function discard(id: string): Promise<void> {
    const session = sessions.get(id);
    if (!session) return;
    sessions.delete(id);
    clearTimeout(session.timer);
    taken.delete(session.uuid);
    // Ending the process gives all memory back, also when it is at work.
    await workerOf(session.uuid).close();
  }

  function startTimer(id: string): NodeJS.Timeout {
    return setTimeout(() => discard(id), options.sessionMs ?? 60_000).unref();
  }

  async function runCommit(challenge: OgvChallenge, device: DeviceInfo, index: number, run: RunOptions) {
    const pair = (options.newPair ?? newKeyPair)();
    const { sigma, key } = contextOf(challenge, device, pair.publicKey);
    const { engine, threads = 0, lanes } = options;
    const job: CommitJob = { engine, index, threads, lanes, params: challenge.params, key, sigma };
    const { uuid } = device;
    const result = await workerOf(uuid).call<CommitResult>('commit', [job], {
      signal: run.signal,
      deadlineMs: run.deadlineMs,
      onProgress: (phase, done, total) => run.onProgress?.({ uuid, phase, done, total }),
    });
    const commit = commitOf(sigma, result.rootFill, result.rootWalk);
    const sessionId = randomUUID();
    sessions.set(sessionId, { uuid, pair, sigma, commit, challenge, timer: startTimer(sessionId) });
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
    return {
      sessionId,
      pkM: hex(pair.publicKey),
      rootFill: hex(result.rootFill),
      rootWalk: hex(result.rootWalk),
      commit: hex(commit),
      phaseMs: result.phaseMs,
    };
  }

  return {
    async commit(sent, run = {}) {
      const parsed = ogvChallenge.safeParse(sent);
      if (!parsed.success) throw new GravalError('BAD_INPUT', `the challenge is not ogv1: ${parsed.error.message}`);
      const list = await devices();
      const index = list.findIndex((device) => device.uuid === sent.device);
      const device = list[index];
      if (!device) throw new GravalError('BAD_INPUT', `there is no GPU ${sent.device}`);
      const { n, m, N } = parsed.data.params;
      if (n * m * N > device.memory)
        throw new GravalError('BAD_INPUT', 'the tiles are larger than the memory of this GPU');
      if (taken.has(device.uuid)) throw new GravalError('VRAM_BUSY', `GPU ${device.uuid} is taken by another session`);
      taken.add(device.uuid);
      try {
        return await runCommit(parsed.data, device, index, run);
      } catch (error) {
        taken.delete(device.uuid);
        await workerOf(device.uuid).close();
        throw error;
      }
    },

    async audit(sessionId, sent, run = {}) {
      const session = find(sessionId);
      const queries = ogvQueries.safeParse(sent);
      if (!queries.success) throw new GravalError('BAD_INPUT', `the queries are not ogv1: ${queries.error.message}`);
      if (session.auditSeed !== undefined) throw new GravalError('BAD_INPUT', 'a session is audited once');
      session.auditSeed = queries.data.auditSeed;
      const plan = planOf(queries.data, session.commit, session.challenge.params);
      const { signal, deadlineMs } = run;
      try {
        const opening = await workerOf(session.uuid).call<OgvOpening>('audit', [plan], { signal, deadlineMs });
        clearTimeout(session.timer);
        session.timer = startTimer(sessionId);
        return opening;
      } catch (error) {
        await discard(sessionId);
        throw error;
      }
    },

    async release(sessionId, sealed, purpose) {
      const { sigma, commit, pair, auditSeed } = find(sessionId);
      if (auditSeed === undefined) throw new GravalError('NOT_PROVEN', 'the session was not audited');
      const text = unseal(sealed, { transcript: transcriptOf(sigma, commit, auditSeed), pair, purpose });
      await discard(sessionId);
      return text;
    },

    discard,
  };
}

/** Throws NO_DRIVER and NO_DEVICE from `devices()` where CUDA cannot be used. */
export function openNative(options: NativeOptions): GravalBackend {
  const workers = new Map<string, Worker>();
  let known: Promise<DeviceInfo[]> | undefined;

  function workerOf(uuid: string): Worker {
    const worker = workers.get(uuid) ?? startWorker();
    workers.set(uuid, worker);
    return worker;
  }

  async function ask(): Promise<DeviceInfo[]> {
    if (options.devices) return [...options.devices];
    const worker = startWorker();
    try {
      return await worker.call<DeviceInfo[]>('cudaDevices');
    } finally {
      await worker.close();
    }
  }

  function devices(): Promise<DeviceInfo[]> {
    known ??= ask().catch((error) => {
      known = undefined;
      throw error;
    });
    return known;
  }

  return {
    kind: options.engine === 'cpu' ? 'cpu' : 'cuda',
    devices,
    ogv: ogvProver(options, devices, workerOf),
    async close() {
      await Promise.all([...workers.values()].map((worker) => worker.close()));
    },
  };
}
