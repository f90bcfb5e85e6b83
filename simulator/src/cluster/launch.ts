// What a chute's container does between its start and serving: claim, prove, download, load, activate. Each step says what comes
// next and when; the kubelet keeps the deadlines.

import type { Clock } from '@miner/controller/domain/clock.ts';
import { answerClaim, readClaimReply } from '../refc1-pod.ts';
import type { SimulatedDevice } from './devices.ts';
import { downloadSeconds, loadSeconds, type ModelSize, useModel, verifySeconds } from './launch-times.ts';
import type { Member } from './member.ts';
import {
  activateInstance,
  claimInstance,
  type PodIdentity,
  portMappings,
  readActivationUrl,
  readLaunchToken,
  sendProof,
} from './pod-claim.ts';
import { gpuIdsIn } from './podspec.ts';
import type { LaunchStep, PodRecord, Stage } from './record.ts';

/** The next stage and the seconds until it is due, or the last words of the container. */
export type Outcome = { next: Stage; seconds: number } | { exit: string };

export interface Launch {
  member: Member;
  record: PodRecord;
  size: ModelSize;
  clock: Clock;
  /** Model keys of the other pods on the server. */
  modelsInUse: ReadonlySet<string>;
  signal: AbortSignal;
  mark(step: LaunchStep): void;
}

const claimTries = 5;
const activationTries = 10;

function pause(attempts: number): number {
  return Math.min(60, 5 * 2 ** attempts);
}

function devicesOfPod({ member, record }: Launch): SimulatedDevice[] {
  const ids = gpuIdsIn(record.env.CHUTES_NVIDIA_DEVICES ?? record.env.NVIDIA_VISIBLE_DEVICES ?? '');
  return member.devices.filter(({ uuid }) => ids.includes(uuid));
}

function identityOf({ member, record, signal }: Launch): PodIdentity {
  return { token: record.env.CHUTES_LAUNCH_JWT ?? '', localAddress: member.server.ip, signal };
}

/** After a refusal or silence: again after a growing pause, or the end. Only silence and server errors are worth another try. */
function again(launch: Launch, stage: Stage, tries: number, what: string, status: number): Outcome {
  const temporary = status === 0 || status >= 500 || status === 429;
  launch.record.attempts += 1;
  if (temporary && launch.record.attempts < tries) return { next: stage, seconds: pause(launch.record.attempts - 1) };
  return { exit: status === 0 ? `${what}: the validator could not be reached` : `${what}: HTTP ${status}` };
}

async function claim(launch: Launch): Promise<Outcome> {
  const { member, record } = launch;
  const token = readLaunchToken(record.env.CHUTES_LAUNCH_JWT ?? '');
  if (!token) return { exit: 'CHUTES_LAUNCH_JWT is no launch token' };
  const gpus = devicesOfPod(launch);
  if (gpus.length === 0) return { exit: 'no GPU is visible' };
  if (!member.claims.begin(token.configId)) return { exit: 'the machine stopped while this container claimed' };
  const { CHUTES_LAUNCH_JWT: _, ...env } = record.env;
  const reply = await claimInstance(token.url, identityOf(launch), {
    gpus,
    host: record.env.CHUTES_EXTERNAL_HOST ?? '',
    port_mappings: portMappings(record.env),
    env: JSON.stringify({ ...env, HOSTNAME: record.name }),
    code: '',
  });
  if (reply.status < 200 || reply.status >= 300)
    return again(launch, 'claim', claimTries, 'claim refused', reply.status);
  record.claimReply = reply.text;
  record.attempts = 0;
  launch.mark('claimedAt');
  return { next: 'prove', seconds: verifySeconds(member.server, 'CHUTES_PORT_ATTESTATION' in record.env) };
}

async function prove(launch: Launch): Promise<Outcome> {
  const { member, record, size } = launch;
  const token = readLaunchToken(record.env.CHUTES_LAUNCH_JWT ?? '');
  if (!token) return { exit: 'CHUTES_LAUNCH_JWT is no launch token' };
  let answer: unknown;
  try {
    answer = answerClaim(
      readClaimReply(record.claimReply ?? ''),
      devicesOfPod(launch),
      token.configId,
      launch.member.proofSizes,
    );
  } catch (error) {
    return { exit: `the claim reply cannot be answered: ${error instanceof Error ? error.message : error}` };
  }
  const reply = await sendProof(token.url, identityOf(launch), answer);
  if (reply.status < 200 || reply.status >= 300)
    return again(launch, 'prove', claimTries, 'proof refused', reply.status);
  const activationUrl = readActivationUrl(reply.text);
  if (!activationUrl) return { exit: 'the answer to the proof has no activation_url' };
  record.activationUrl = new URL(activationUrl, token.url).href;
  record.attempts = 0;
  launch.mark('verifiedAt');
  return { next: 'download', seconds: downloadSeconds(member.server, member.cache, size) };
}

function download({ member, clock, size, modelsInUse }: Launch): Outcome {
  member.cache = useModel(member.cache, size, clock.now(), member.server.cacheGb, modelsInUse);
  return { next: 'load', seconds: loadSeconds(member.server, size) };
}

async function activate(launch: Launch): Promise<Outcome> {
  const url = launch.record.activationUrl;
  if (url === undefined) return { next: 'running', seconds: 0 };
  const reply = await activateInstance(url, identityOf(launch));
  if (reply.status < 200 || reply.status >= 300) {
    return again(launch, 'activate', activationTries, 'activation refused', reply.status);
  }
  launch.mark('activatedAt');
  return { next: 'running', seconds: 0 };
}

/** Steps by the stage that is over. */
export const launchSteps: Partial<Record<Stage, (launch: Launch) => Outcome | Promise<Outcome>>> = {
  claim,
  prove,
  download,
  load: () => ({ next: 'activate', seconds: 0 }),
  activate,
};

/** First stage of a container that has just started: without a token the miner announces the instance, not the pod. */
export function firstStage(env: Readonly<Record<string, string>>, launch: Pick<Launch, 'member' | 'size'>): Outcome {
  if ('CHUTES_LAUNCH_JWT' in env) return { next: 'claim', seconds: 0 };
  return { next: 'download', seconds: downloadSeconds(launch.member.server, launch.member.cache, launch.size) };
}
