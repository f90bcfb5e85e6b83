// The GPUs of a server as its GraVal bootstrap reports them, and whether they are what the operator said.

import { z } from 'zod';
import type { Clock } from '../domain/clock.ts';
import { MinerError } from '../domain/errors.ts';
import { type GpuModel, gpuTable, modelOfDevice } from '../domain/gputable.ts';
import { isGpuId } from '../domain/ids.ts';
import type { MemberNode } from '../domain/ports.ts';
import type { DeviceInfo } from '../domain/server.ts';
import { managementHeaders } from '../signing/sign.ts';
import type { Signer } from '../signing/sr25519.ts';
import { type Fetch, reasonOf } from './agent.ts';

const attempts = 5;
const pauseMs = 3000;
const timeoutMs = 5000;
/** Between the driver's count of VRAM and that of GPU feature discovery: they differ by what the driver keeps for itself. */
const memoryTolerance = 0.05;

const optionalCount = z.int().nonnegative().nullish();
const optionalFlag = z.boolean().nullish();
const device = z.object({
  uuid: z
    .string()
    .transform((text) => text.replace(/^GPU-/, '').replaceAll('-', '').toLowerCase())
    .refine(isGpuId, 'must have 32 hex digits'),
  name: z.string().min(1),
  memory: z.int().positive(),
  clock_rate: z.number().positive(),
  major: optionalCount,
  minor: optionalCount,
  processors: optionalCount,
  sxm: optionalFlag,
  max_threads_per_processor: optionalCount,
  concurrent_kernels: optionalFlag,
  ecc: optionalFlag,
});
const answer = z.object({ devices: z.array(device) });

/** Without what is absent; what the record does not know (work products) never gets here. */
function compact(raw: z.infer<typeof device>): DeviceInfo {
  return Object.fromEntries(
    Object.entries(raw).filter(([, value]) => value !== null && value !== undefined),
  ) as unknown as DeviceInfo;
}

export interface DevicesRequest {
  /** `host:port` of the bootstrap. */
  address: string;
  signer: Signer;
  clock: Clock;
  signal: AbortSignal;
  fetch?: Fetch | undefined;
}

/** Of an answer to either strategy: `{devices: […]}`, or a bare list from a TEE node. Throws a SyntaxError or ZodError. */
export function readDevices(text: string): DeviceInfo[] {
  const content: unknown = JSON.parse(text);
  return answer.parse(Array.isArray(content) ? { devices: content } : content).devices.map(compact);
}

/** `GET /devices`, signed by the miner with purpose `graval`: five tries, 3 s apart (graval.md 4.4). Rejects with E-VERIFICATION. */
export async function fetchDevices({
  address,
  signer,
  clock,
  signal,
  fetch = globalThis.fetch,
}: DevicesRequest): Promise<DeviceInfo[]> {
  let problem = 'stopped';
  for (let attempt = 1; attempt <= attempts && !signal.aborted; attempt++) {
    if (attempt > 1) await clock.sleep(pauseMs, signal);
    try {
      const response = await fetch(`http://${address}/devices`, {
        headers: managementHeaders(signer, { purpose: 'graval' }),
        redirect: 'manual',
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      });
      const text = await response.text();
      if (response.ok) return readDevices(text);
      problem = `status ${response.status}`;
    } catch (error) {
      problem = error instanceof z.ZodError ? z.prettifyError(error).split('\n').join('; ') : reasonOf(error);
    }
  }
  throw new MinerError(
    'E-VERIFICATION',
    `GPU list of http://${address}/devices cannot be had: ${problem.slice(0, 500)}`,
  );
}

/** What label nvidia.com/gpu.product says against the model, one sentence. A name that the table does not know, or no label, says nothing. */
export function productProblem({ labels }: MemberNode, gpuShortRef: string): string | undefined {
  // The label is the device name with dashes for blanks.
  const product = labels['nvidia.com/gpu.product'] ?? '';
  const model = modelOfDevice(product.replaceAll('-', ' '))?.ref;
  if (model === undefined || model === gpuShortRef || !gpuTable.some(({ ref }) => ref === gpuShortRef))
    return undefined;
  return `label nvidia.com/gpu.product is ${product}`;
}

/** Throws E-VERIFICATION for a wrong number of GPUs, a repeated one, or a record that the node or the GPU table contradicts; E-GPU-REF for another model than `gpuShortRef`. */
export function checkDevices(devices: readonly DeviceInfo[], node: MemberNode, gpuShortRef: string): void {
  if (devices.length !== node.gpus) {
    throw new MinerError('E-VERIFICATION', `the node has ${node.gpus} GPUs, but ${devices.length} were found`);
  }
  // What the guard would cordon at its next look must not be verified: the server would swing between the two.
  const product = productProblem(node, gpuShortRef);
  if (product) throw new MinerError('E-GPU-REF', `${product}, not ${gpuShortRef}`);
  const ids = new Set(devices.map(({ uuid }) => uuid));
  if (ids.size !== devices.length) throw new MinerError('E-VERIFICATION', 'two GPUs report the same id');
  const labelMiB = Number(node.labels['nvidia.com/gpu.memory']);
  for (const device of devices) checkDevice(device, labelMiB, gpuShortRef);
}

function checkDevice(device: DeviceInfo, labelMiB: number, gpuShortRef: string): void {
  const { name, uuid, memory } = device;
  const memoryMiB = Math.round(memory / 1024 ** 2);
  if (Math.abs(memoryMiB - labelMiB) > labelMiB * memoryTolerance) {
    const told = `GPU ${uuid} reports ${memoryMiB} MiB, label nvidia.com/gpu.memory says ${labelMiB}`;
    throw new MinerError('E-VERIFICATION', told);
  }
  // A model newer than the table is left to the validator.
  const expected = gpuTable.find(({ ref }) => ref === gpuShortRef);
  if (!expected) return;
  const model = modelOfDevice(name)?.ref;
  if (model !== gpuShortRef) {
    const found = model === undefined ? 'unknown to the GPU table' : model;
    throw new MinerError('E-GPU-REF', `GPU ${uuid} is "${name}" (${found}), not ${gpuShortRef}`);
  }
  const problem = recordProblem(device, expected);
  if (problem) throw new MinerError('E-VERIFICATION', `GPU ${uuid} "${name}" reports ${problem}`);
}

/** What the validator would refuse of a record (graval.md 2.1). */
function recordProblem({ memory, processors, clock_rate }: DeviceInfo, model: GpuModel): string | undefined {
  const gb = Math.floor(memory / 1e9);
  const most = model.vramGb * 1.024 ** 3 + 1;
  if (gb < model.vramGb - 1 || gb > most) return `${gb} GB of VRAM; ${model.ref} has ${model.vramGb}`;
  if (processors !== undefined && processors !== model.processors)
    return `${processors} processors; ${model.ref} has ${model.processors}`;
  const mhz = clock_rate / 1000;
  if (mhz < model.clockBase || mhz > model.clockBoost * 1.1)
    return `a clock of ${mhz} MHz; ${model.ref} has ${model.clockBase} to ${model.clockBoost}`;
  return undefined;
}
