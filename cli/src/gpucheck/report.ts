// From what was found on a node to what an operator has to know before adding it: each rule one line, with the way to mend it.

import { type GpuModel, gpuTable, modelOfDevice } from '@miner/controller/domain/gputable.ts';
import type { DeviceInfo, GravalBackend } from '@miner/graval/backend.ts';
import { GravalError } from '@miner/graval/backend.ts';
import { type Check, fail, ok, warn } from '../doctor/check.ts';
import { type GpuResult, share, type VendorResult } from './proof.ts';

const gib = 1024 ** 3;
const maxGpus = 10;
/** As adding a node asks for it: firmware and kernel take a part of the RAM that was bought. */
const ramShare = 0.95;
/** A proof counts when it takes between these parts of what the validator expects (graval.md 3.3). */
const window = { least: 0.55, most: 1.7 };

/** Seconds within which the validator takes a proof of this model. */
export function windowOf({ graval }: GpuModel): { expected: number; least: number; most: number } {
  const expected = graval.estimateSeconds;
  return { expected, least: expected * window.least, most: expected * window.most };
}

export function openingFailure(error: unknown): Check {
  const detail = error instanceof Error ? error.message : String(error);
  const code = error instanceof GravalError ? error.code : undefined;
  const fixes: Partial<Record<GravalError['code'], string>> = {
    NO_DRIVER: 'install the driver; `--backend cpu` tries everything else without a GPU',
    NO_DEVICE: 'check that nvidia-smi lists the GPUs; `--backend cpu` tries everything else without one',
    NO_LIBRARY: 'build the addon (npm run graval:build), and give --library for the vendor',
    BAD_ABI: 'give libgraval-miner.so of version 0.2.6 with --library',
  };
  return fail('GPUs', detail, (code && fixes[code]) ?? 'run it again with --debug');
}

export function gpuChecks(devices: readonly DeviceInfo[], kind: GravalBackend['kind']): Check[] {
  const count = devices.length;
  const names = [...new Set(devices.map(({ name }) => name))].join(', ');
  const found =
    count >= 1 && count <= maxGpus
      ? ok('GPUs', `${count} × ${names}`)
      : fail('GPUs', `${count} × ${names}`, `a server has 1 to ${maxGpus} GPUs`);
  if (kind === 'cpu') return [warn('GPUs', `none asked: ${names} stands in`, 'leave out --backend cpu on a node')];
  const models = new Set(devices.map(({ name }) => modelOfDevice(name)?.ref));
  if (models.has(undefined))
    return [found, warn('model', `${names} is not in the GPU table`, 'see whether the validator supports it by now')];
  if (models.size > 1)
    return [found, fail('model', `several: ${[...models].join(', ')}`, 'a server has GPUs of one model')];
  return [found, ok('model', `gpu_short_ref ${[...models].join()}`)];
}

export function ramCheck(devices: readonly DeviceInfo[], ramBytes: number): Check {
  const vram = devices.reduce((sum, { memory }) => sum + memory, 0);
  const detail = `${Math.floor(ramBytes / gib)} GiB of RAM for ${Math.floor(vram / gib)} GiB of VRAM`;
  if (ramBytes >= vram * ramShare) return ok('RAM', detail);
  return fail('RAM', detail, 'a server needs as much RAM as VRAM; it would not be added');
}

export function reachCheck(results: readonly GpuResult[]): Check {
  const failed = results.filter(({ problem }) => problem !== undefined);
  if (failed.length === 0) return ok('VRAM', `${share * 100} % of each GPU was filled and read back`);
  const [first] = failed;
  const detail = `${failed.length} of ${results.length} GPUs: ${first?.problem}`;
  return fail('VRAM', detail, 'end what uses the GPUs (nvidia-smi shows it), then try again');
}

/** Without a GPU: whether a proof works at all. */
export function proofCheck([result]: readonly GpuResult[]): Check {
  if (result?.problem === undefined) return ok('proof', 'works on the CPU, which says nothing of a GPU');
  return fail('proof', result.problem, 'run it again with --debug');
}

export function windowCheck(devices: readonly DeviceInfo[], vendor: VendorResult | undefined): Check {
  const ref = modelOfDevice(devices[0]?.name ?? '')?.ref;
  const model = gpuTable.find((one) => one.ref === ref);
  if (!model) return warn('time window', 'unknown for this model', 'the validator has the live table');
  const { expected, least, most } = windowOf(model);
  const says = `the validator expects ${expected} s and takes ${least.toFixed(1)} to ${most.toFixed(1)} s`;
  if (!vendor) return warn('time window', `${says}; not measured`, 'give --library to time the proof it asks for');
  const took = `the proof took ${vendor.seconds.toFixed(1)} s; ${says}`;
  if (vendor.seconds > least && vendor.seconds < most) return ok('time window', took);
  const fix = vendor.seconds >= most ? 'check power limit, cooling and clocks' : 'check that the model is right';
  return fail('time window', took, fix);
}
