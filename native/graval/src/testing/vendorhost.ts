// A machine on which the vendor's libraries run without a GPU: the wheel from PyPI, pocl behind our shim driver, a fast product
// (graval.md 9.1). Built once into build/vendor; needs g++, python3-venv, pocl-opencl-icd, ocl-icd-libopencl1, opencl-headers.

import { spawnSync } from 'node:child_process';
import { existsSync, globSync, mkdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = `${root}build/vendor`;

export interface VendorHost {
  miner: string;
  validator: string;
  environment: Record<string, string>;
}

function must(command: string, ...args: string[]): void {
  const made = spawnSync(command, args, { encoding: 'utf8', cwd: folder });
  if (made.status !== 0) throw new Error(`${command} ${args.join(' ')} failed: ${made.stderr}${made.error ?? ''}`);
}

function compile(source: string, output: string, ...flags: string[]): void {
  const from = `${root}testing/${source}`;
  const to = `${folder}/${output}`;
  if (existsSync(to) && statSync(to).mtimeMs >= statSync(from).mtimeMs) return;
  must('g++', '-std=c++17', '-O3', '-shared', '-fPIC', ...flags, from, '-o', `${to}.new`, '-l:libOpenCL.so.1', '-ldl');
  must('mv', `${to}.new`, to);
}

function fetchWheel(): void {
  if (existsSync(`${folder}/wheel/graval/lib/libgraval-validator.so`)) return;
  rmSync(`${folder}/download`, { recursive: true, force: true });
  must('python3', '-m', 'venv', 'venv');
  must('venv/bin/pip', 'download', '--quiet', '--no-deps', '--dest', 'download', 'graval==0.2.6');
  const [wheel] = globSync('download/*.whl', { cwd: folder });
  must('python3', '-m', 'zipfile', '-e', wheel ?? 'no wheel', 'wheel');
}

/** `real`: CLBlast itself in place of our product, about seven times slower. `devices`: how many GPUs the shim shows. */
export function vendorHost(
  options: { product?: 'fast' | 'real'; devices?: number; memoryMib?: number } = {},
): VendorHost {
  for (const part of ['icd', 'fast', 'real', 'cache', 'home']) mkdirSync(`${folder}/${part}`, { recursive: true });
  fetchWheel();
  compile('shim_icd.cpp', 'icd/libshim.so', '-fvisibility=hidden');
  compile('fast_dgemm.cpp', 'fast/libclblast.so', '-march=native', '-ffp-contract=fast', '-pthread');
  writeFileSync(`${folder}/icd/shim.icd`, `${folder}/icd/libshim.so\n`);
  const real = `${folder}/real/libclblast.so`;
  if (!existsSync(real)) {
    rmSync(real, { force: true });
    symlinkSync('/usr/lib/x86_64-linux-gnu/libclblast.so.1', real);
  }
  return {
    miner: `${folder}/wheel/graval/lib/libgraval-miner.so`,
    validator: `${folder}/wheel/graval/lib/libgraval-validator.so`,
    environment: {
      OCL_ICD_VENDORS: `${folder}/icd`,
      LD_LIBRARY_PATH: `${folder}/${options.product ?? 'fast'}`,
      POCL_CACHE_DIR: `${folder}/cache`,
      POCL_DEVICES: Array.from({ length: options.devices ?? 1 }, () => 'pthread').join(' '),
      GRAVAL_SHIM_MEMORY_MIB: String(options.memoryMib ?? 2450),
      HOME: `${folder}/home`,
    },
  };
}
