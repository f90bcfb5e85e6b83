// `gpu-check`: looks at the GPU server it runs on, without a miner or validator, and says whether it could be added. Exit 3 when not.

import { modelOfDevice } from '@miner/controller/domain/gputable.ts';
import type { GravalBackend } from '@miner/graval/backend.ts';
import { type CommandModule, type Context, flag, number, text } from '../command.ts';
import type { Check } from '../doctor/check.ts';
import { exitCodes } from '../errors.ts';
import { lookAtMachine, type MachineOptions } from '../gpucheck/machine.ts';
import { type GpuResult, proveGpu, timeVendor, type VendorResult } from '../gpucheck/proof.ts';
import { gpuChecks, openingFailure, proofCheck, ramCheck, reachCheck, windowCheck } from '../gpucheck/report.ts';
import type { Column } from '../output/output.ts';

const kinds = ['auto', 'vendor', 'cuda', 'cpu'] as const;

export interface GpuCheckParts {
  open(context: Context): Promise<GravalBackend>;
  machine?: MachineOptions;
}

async function openOwn({ values }: Context): Promise<GravalBackend> {
  const { openBackend } = await import('@miner/graval/select.ts');
  const backend = kinds.find((kind) => kind === values.backend) ?? 'auto';
  return openBackend({ backend, minerLibrary: text(values, 'library') });
}

interface Found {
  kind: GravalBackend['kind'] | undefined;
  gpus: GpuResult[];
  vendor: VendorResult | undefined;
  checks: Check[];
}

async function lookAtGpus(context: Context, parts: GpuCheckParts, ramBytes: number): Promise<Found> {
  const { out, io, values } = context;
  let backend: GravalBackend | undefined;
  try {
    backend = await parts.open(context);
    const { kind, prover, ogv } = backend;
    const devices = await backend.devices();
    const checks = gpuChecks(devices, kind);
    if (kind !== 'cpu') checks.push(ramCheck(devices, ramBytes));
    const bare = (device: (typeof devices)[number]): GpuResult => ({
      device,
      model: modelOfDevice(device.name)?.ref,
      reachedBytes: undefined,
      gmacs: undefined,
      reads: undefined,
      problem: undefined,
    });
    if (flag(values, 'quick')) return { kind, gpus: devices.map(bare), vendor: undefined, checks };
    const options = { limitMs: (number(values, 'limit') ?? 600) * 1000, signal: io.signal };
    let gpus = devices.map(bare);
    if (ogv) {
      out.note(`filling the memory of ${devices.length} GPUs …`);
      gpus = await Promise.all(devices.map((device) => proveGpu(ogv, device, kind, options)));
      checks.push(kind === 'cpu' ? proofCheck(gpus) : reachCheck(gpus));
    }
    let vendor: VendorResult | undefined;
    if (kind === 'vendor' && prover) {
      const iterations = modelOfDevice(devices[0]?.name ?? '')?.graval.iterations ?? 1;
      out.note(`running the proof that the validator asks for, ${iterations} iterations …`);
      vendor = await timeVendor(prover, iterations, options);
    }
    if (kind !== 'cpu') checks.push(windowCheck(devices, vendor));
    return { kind, gpus, vendor, checks };
  } catch (error) {
    if (io.signal.aborted) throw error;
    return { kind: backend?.kind, gpus: [], vendor: undefined, checks: [openingFailure(error)] };
  } finally {
    await backend?.close();
  }
}

const rounded = (value: number | undefined, digits = 0) => (value === undefined ? '-' : value.toFixed(digits));

const columns: Column<GpuResult>[] = [
  { head: 'GPU', cell: ({ device }) => device.name },
  { head: 'MODEL', cell: ({ model }) => model ?? '-' },
  { head: 'VRAM GIB', cell: ({ device }) => rounded(device.memory / 1024 ** 3, 1) },
  {
    head: 'REACHED',
    cell: ({ device, reachedBytes }) => (reachedBytes ? `${rounded((100 * reachedBytes) / device.memory)} %` : '-'),
  },
  { head: 'GMAC/S', cell: ({ gmacs }) => rounded(gmacs) },
  { head: 'MREADS/S', cell: ({ reads }) => rounded(reads) },
  { head: 'SMS', cell: ({ device }) => String(device.processors), wide: true },
  { head: 'MHZ', cell: ({ device }) => rounded(device.clock_rate / 1000), wide: true },
  { head: 'UUID', cell: ({ device }) => device.uuid, wide: true },
];

export async function checkGpus(context: Context, parts: GpuCheckParts): Promise<number | undefined> {
  const { out } = context;
  const machine = await lookAtMachine(parts.machine);
  const { kind, gpus, vendor, checks: ofGpus } = await lookAtGpus(context, parts, machine.ramBytes);
  const checks = [...machine.checks, ...ofGpus];
  const failed = checks.filter(({ result }) => result === 'fail');
  const styles = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
  if (out.format === 'table' || out.format === 'wide') {
    for (const check of checks) {
      if (out.quiet && check.result === 'ok') continue;
      out.line(`${out.paint(check.result.padEnd(4), styles[check.result])}  ${check.name}: ${check.detail}`);
      if (check.fix && check.result !== 'ok') out.line(`      fix: ${check.fix}`);
    }
    if (gpus.length > 0) out.line('');
  }
  await out.showList(gpus, columns, {
    name: ({ device }) => device.uuid,
    value: {
      ok: failed.length === 0,
      backend: kind ?? null,
      ram_bytes: machine.ramBytes,
      proof_seconds: vendor?.seconds ?? null,
      gpus: gpus.map(({ device, model, reachedBytes, gmacs, reads, problem }) => ({
        ...device,
        model: model ?? null,
        reached_bytes: reachedBytes ?? null,
        gmac_per_second: gmacs === undefined ? null : gmacs * 1e9,
        reads_per_second: reads === undefined ? null : reads * 1e6,
        problem: problem ?? null,
      })),
      checks,
    },
    none: 'no GPU was looked at',
  });
  return failed.length > 0 ? exitCodes.different : undefined;
}

export const command: CommandModule = {
  options: [
    {
      flags: '--backend <kind>',
      description: 'what to reach the GPUs with; cpu only stands in for them',
      choices: kinds,
      default: 'auto',
      env: 'GRAVAL_BACKEND',
    },
    { flags: '--library <file>', description: 'libgraval-miner.so of the vendor', env: 'GRAVAL_LIBRARY' },
    { flags: '--quick', description: 'only look, prove nothing' },
    {
      flags: '--limit <seconds>',
      description: 'longest proof of a GPU',
      default: 600,
      parse(given) {
        const seconds = Number(given);
        if (Number.isInteger(seconds) && seconds >= 1 && seconds <= 3600) return seconds;
        throw new Error('allowed: whole seconds from 1 to 3600');
      },
    },
  ],
  examples: ['gpu-check', 'gpu-check --library /opt/graval/libgraval-miner.so', 'gpu-check --backend cpu -o json'],
  run: (context) => checkGpus(context, { open: openOwn }),
};
