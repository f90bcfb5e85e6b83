// Runs in a chute's container in place of the chutes library: claims its instance with the launch token, proves its GPUs and activates by
// the real calls (protocol.md 6.4). Then it answers at its ports: what it was given, and whom it can reach.

import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import {
  activateInstance,
  claimInstance,
  type PodIdentity,
  portMappings,
  type Reply,
  readActivationUrl,
  readLaunchToken,
  sendProof,
} from '@miner/simulator/cluster/pod-claim.ts';
import { gpuIdsIn } from '@miner/simulator/cluster/podspec.ts';
import { answerClaim, readClaimReply } from '@miner/simulator/refc1-pod.ts';
import { readGpus } from './gpus.ts';

export interface ChuteReport {
  /** Command line of process 1. */
  args: string[];
  /** Without the token. */
  env: Record<string, string | undefined>;
  user: number | undefined;
  /** Steps that succeeded. */
  steps: string[];
  /** Names in `/cache`. */
  cache: string[];
}

const connectMs = 3_000;
const { CHUTES_LAUNCH_JWT: token = '', ...env } = process.env;
const steps: string[] = [];

function demand(step: string, reply: Reply): void {
  if (reply.status < 200 || reply.status >= 300) throw new Error(`${step}: HTTP ${reply.status} ${reply.text}`);
  steps.push(step);
  console.log(step);
}

async function launch(): Promise<void> {
  const claims = readLaunchToken(token);
  if (!claims) throw new Error('CHUTES_LAUNCH_JWT is no launch token');
  const identity: PodIdentity = { token, localAddress: '0.0.0.0', signal: new AbortController().signal };
  const { devices, proofSizes } = readGpus();
  const ids = gpuIdsIn(env.CHUTES_NVIDIA_DEVICES ?? '');
  const gpus = devices.filter(({ uuid }) => ids.includes(uuid));
  const given = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value ?? '']));
  const claimed = await claimInstance(claims.url, identity, {
    gpus,
    host: given.CHUTES_EXTERNAL_HOST ?? '',
    port_mappings: portMappings(given),
    env: JSON.stringify(given),
    code: '',
  });
  demand('claimed', claimed);
  const answer = answerClaim(readClaimReply(claimed.text), gpus, claims.configId, proofSizes);
  const proved = await sendProof(claims.url, identity, answer);
  demand('proved', proved);
  const activation = new URL(readActivationUrl(proved.text) ?? '', claims.url).href;
  demand('activated', await activateInstance(activation, identity));
}

function canReach(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (open: boolean) => {
      socket.destroy();
      resolve(open);
    };
    socket.setTimeout(connectMs, () => end(false));
    socket.once('connect', () => end(true)).once('error', () => end(false));
  });
}

async function answerTo(url: URL): Promise<unknown> {
  if (url.pathname === '/reach')
    return canReach(url.searchParams.get('host') ?? '', Number(url.searchParams.get('port')));
  const report: ChuteReport = {
    args: process.argv.slice(2),
    env,
    user: process.getuid?.(),
    steps,
    cache: existsSync('/cache') ? readdirSync('/cache') : [],
  };
  return report;
}

for (const port of [8000, 8001])
  createServer((request, response) => {
    answerTo(new URL(request.url ?? '/', 'http://chute'))
      .then((answer) => response.end(JSON.stringify(answer)))
      .catch(() => response.destroy());
  }).listen(port);
process.once('SIGTERM', () => process.exit(0));
launch().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
});
