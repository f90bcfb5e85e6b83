// For tests: a GPU node that answers a verification, a pod that claims, and a validator that has both.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type GpuModel, gpuTable } from '@miner/controller/domain/gputable.ts';
import { needsLaunchToken } from '@miner/controller/domain/version.ts';
import { toJson } from '../lossless.ts';
import { infoAnswer } from '../refc1.ts';
import { answerClaim, readClaimReply } from '../refc1-pod.ts';
import { answerProve, type ProveReply, type ProveRequest, readProveRequest } from '../refc1-wire.ts';
import { verifySignature } from '../sr25519.ts';
import { bodyHash } from './auth.ts';
import type { NodeArgs } from './nodeargs.ts';
import { pause, type Reply, raw, send, sizes, testValidator } from './testing.ts';
import type { SimulatedValidator, ValidatorOptions } from './validator.ts';
import type { ChuteView } from './views.ts';

/** Advertised records of `count` GPUs of a model; `prefix` (one hex digit) keeps ids apart. */
export function gpus(model: GpuModel, name: string, count: number, prefix: string, port: number, host = '127.0.0.1') {
  return Array.from(
    { length: count },
    (_, index): NodeArgs => ({
      uuid: prefix.repeat(31) + index.toString(16),
      name,
      memory: model.vramGb * 1e9,
      processors: model.processors,
      clock_rate: model.clockBoost * 1000,
      max_threads_per_processor: 1536,
      device_index: index,
      gpu_identifier: model.ref,
      verification_host: host,
      verification_port: port,
    }),
  );
}

export interface TestNode {
  port: number;
  devices: NodeArgs[];
  /** Requests that carried a good signature of the validator, by path. */
  signed: string[];
  close(): void;
}

/** A bootstrap on 127.0.0.1; `cheat` may spoil its proofs. */
export async function testNode(
  make: (port: number) => NodeArgs[],
  cheat: (reply: ProveReply<NodeArgs>, request: ProveRequest) => void = () => undefined,
): Promise<TestNode> {
  const signed: string[] = [];
  const node: TestNode = { port: 0, devices: [], signed, close: () => server.close() };
  function note(headers: Record<string, unknown>, path: string, tail: string): void {
    const { 'x-chutes-miner': miner, 'x-chutes-validator': from, 'x-chutes-nonce': nonce } = headers;
    const message = new TextEncoder().encode(`${miner}:${from}:${nonce}:${tail}`);
    if (verifySignature(String(from), message, String(headers['x-chutes-signature']))) signed.push(path);
  }
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://node');
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      note(request.headers, url.pathname, request.method === 'POST' ? bodyHash(body) : 'graval');
      if (url.pathname === '/info') {
        response.end(infoAnswer(url.searchParams.get('challenge') ?? '', node.devices));
        return;
      }
      const asked = readProveRequest(body.toString());
      const reply = answerProve(asked, node.devices, sizes);
      cheat(reply, asked);
      response.end(toJson(reply));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  node.port = (server.address() as AddressInfo).port;
  node.devices = make(node.port);
  return node;
}

/** Register the GPUs and wait until the verification ended; returns its status. */
export async function addServer(
  validator: SimulatedValidator,
  serverId: string,
  nodes: NodeArgs[],
): Promise<Reply['json']> {
  const body = { server_id: serverId, server_name: serverId, nodes };
  const { json, status, text } = await send(validator.url, 'POST', '/nodes/', { body });
  if (status !== 202) throw new Error(`registration was answered with ${status}: ${text}`);
  for (let i = 0; i < 200; i++) {
    const path = `/nodes/verification_status?task_id=${encodeURIComponent(json.task_id)}`;
    const answer = await send(validator.url, 'GET', path, { tail: 'graval' });
    if (answer.json.status !== 'pending') return answer.json;
    await pause(10);
  }
  throw new Error('the verification did not end');
}

export interface Launch {
  token: string;
  config_id: string;
}

export async function launch(validator: SimulatedValidator, chuteId: string, query = ''): Promise<Launch> {
  const path = `/instances/launch_config?chute_id=${chuteId}${query}`;
  const { json, status, text } = await send(validator.url, 'GET', path, { tail: 'launch' });
  if (status !== 200) throw new Error(`the launch was answered with ${status}: ${text}`);
  return json;
}

let nextPort = 31_000;

export function claimBody(devices: readonly NodeArgs[], jobPorts: readonly number[] = []): Record<string, unknown> {
  return {
    gpus: devices.map(({ uuid }) => ({ uuid })),
    host: devices[0]?.verification_host,
    port_mappings: [8000, 8001, ...jobPorts].map((internal_port) => ({
      internal_port,
      external_port: nextPort++,
      proto: 'tcp',
    })),
    env: '',
    code: '',
  };
}

/** What a pod sends with its token. */
export function podCall(
  validator: SimulatedValidator,
  { token, config_id }: Launch,
  method: string,
  body?: unknown,
  suffix = '',
): Promise<Reply> {
  const path = `/instances/launch_config/${config_id}${suffix}`;
  return raw(validator.url, method, path, { Authorization: token }, body === undefined ? undefined : toJson(body));
}

/** Claim and prove; returns the answer to the proof. */
export async function claimAndProve(
  validator: SimulatedValidator,
  launched: Launch,
  devices: readonly NodeArgs[],
  jobPorts: readonly number[] = [],
): Promise<Reply> {
  const claimed = await podCall(validator, launched, 'POST', claimBody(devices, jobPorts));
  if (claimed.status !== 200) return claimed;
  const answer = answerClaim(readClaimReply(claimed.text), devices, launched.config_id, sizes);
  return podCall(validator, launched, 'PUT', answer);
}

/** Bring an instance up to active; returns its id. */
export async function bringUp(
  validator: SimulatedValidator,
  chuteId: string,
  devices: readonly NodeArgs[],
  query = '',
  jobPorts: readonly number[] = [],
): Promise<string> {
  const launched = await launch(validator, chuteId, query);
  const proved = await claimAndProve(validator, launched, devices, jobPorts);
  const activated = await podCall(validator, launched, 'GET', undefined, '/activate');
  if (activated.status !== 200) throw new Error(`activation: ${proved.text} ${activated.text}`);
  return proved.json.instance_id;
}

/** A validator with one verified server of L40S GPUs, and a public chute that takes one of them and has room. */
export async function readyValidator(options: Partial<ValidatorOptions> = {}, count = 4) {
  const { validator, clock } = await testValidator(options);
  const l40s = gpuTable.find(({ ref }) => ref === 'l40s') as GpuModel;
  const pace = options.graval?.timing ? () => clock.advance(l40s.graval.estimateSeconds * 1000) : undefined;
  const node = await testNode((port) => gpus(l40s, 'NVIDIA L40S', count, 'a', port), pace);
  const { status, detail } = await addServer(validator, 's', node.devices);
  if (status !== 'verified') throw new Error(detail);
  node.close();
  const fits = validator
    .chutes()
    .filter((chute) => chute.supportedGpus.includes('l40s') && !chute.disabled && needsLaunchToken(chute));
  const single = fits.filter(({ gpuCount, isPublic, jobOnly }) => gpuCount === 1 && isPublic && !jobOnly);
  const [chute, another] = single as [ChuteView, ChuteView];
  validator.setOthers(chute.chuteId, 3);
  validator.setTarget(chute.chuteId, 10);
  return { validator, clock, devices: node.devices, chute, another, fits };
}

/** Codes of the violations so far. */
export function codes(validator: SimulatedValidator): string[] {
  return validator.stats().violations.map(({ code }) => code);
}
