// Compiles the kernels for every card that the validator knows, with NVIDIA's compiler from PyPI in a folder of its own (graval.md 7.2):
// `npm run cuda:build`. The result is embedded by the next `npm run graval:build`; nothing of NVIDIA's is kept in the repository.

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { GravalError } from './backend.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = `${root}build/cuda`;
const source = `${root}cuda/kernels.cu`;

export const fatbinPath = `${root}build/kernels.fatbin`;

/** Machine code for Ampere to Blackwell; PTX of the oldest for what comes after. */
export const architectures = [80, 86, 89, 90, 100, 120];

/** The four packages are one compiler; 13.0 makes PTX that drivers from R580 on can read. */
const packages = [
  'nvidia-cuda-nvcc==13.0.88',
  'nvidia-cuda-crt==13.0.88',
  'nvidia-nvvm==13.0.88',
  'nvidia-cuda-runtime==13.0.96',
];

function must(command: string, ...args: string[]): void {
  const made = spawnSync('nice', ['-n', '5', command, ...args], { encoding: 'utf8' });
  if (made.status === 0) return;
  throw new GravalError('NO_DRIVER', `${command} failed: ${`${made.stdout}${made.stderr}`.trim().slice(-4000)}`);
}

function compiler(): string {
  const find = () => globSync('venv/lib/python3*/site-packages/nvidia/cu13/bin/nvcc', { cwd: folder })[0];
  if (!find()) {
    mkdirSync(folder, { recursive: true });
    must('python3', '-m', 'venv', `${folder}/venv`);
    must(`${folder}/venv/bin/pip`, 'install', '--quiet', ...packages);
  }
  return `${folder}/${find()}`;
}

/** One part of a fat binary: machine code of a card, or PTX. */
export interface FatbinPart {
  kind: 'ptx' | 'code';
  architecture: number;
}

export function readFatbin(bytes: Buffer): FatbinPart[] {
  if (bytes.readUInt32LE(0) !== 0xba55ed50) throw new GravalError('BAD_ABI', 'this is no fat binary');
  const parts: FatbinPart[] = [];
  const end = bytes.readUInt16LE(6) + Number(bytes.readBigUInt64LE(8));
  for (
    let at = bytes.readUInt16LE(6);
    at < end;
    at += bytes.readUInt32LE(at + 4) + Number(bytes.readBigUInt64LE(at + 8))
  ) {
    parts.push({ kind: bytes.readUInt16LE(at) === 1 ? 'ptx' : 'code', architecture: bytes.readUInt32LE(at + 28) });
  }
  return parts;
}

/** Throws NO_DRIVER with the compiler's words. */
export function buildKernels(): FatbinPart[] {
  const fresh = existsSync(fatbinPath) && statSync(fatbinPath).mtimeMs >= statSync(source).mtimeMs;
  if (!fresh) {
    const targets = architectures.flatMap((sm) => ['-gencode', `arch=compute_${sm},code=sm_${sm}`]);
    const ptx = ['-gencode', 'arch=compute_80,code=compute_80'];
    must(compiler(), '-O3', '-std=c++17', '-fatbin', ...targets, ...ptx, source, '-o', `${fatbinPath}.new`);
    renameSync(`${fatbinPath}.new`, fatbinPath);
  }
  return readFatbin(readFileSync(fatbinPath));
}

if (import.meta.main) {
  for (const { kind, architecture } of buildKernels())
    console.log(kind === 'ptx' ? `PTX ${architecture}` : `sm_${architecture}`);
  console.log(fatbinPath);
}
