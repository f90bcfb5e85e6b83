// What a GPU server has besides its GPUs: RAM, driver, and a container runtime that hands GPUs to pods. Reads files and asks nvidia-smi;
// changes nothing.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Check, fail, ok, warn } from '../doctor/check.ts';

export interface MachineFacts {
  ramBytes: number;
  checks: Check[];
}

export interface MachineOptions {
  /** Where the file system begins; tests give their own. */
  root?: string;
  /** Prints what `nvidia-smi` says, or rejects. */
  smi?: (args: readonly string[]) => Promise<string>;
  ramBytes?: number;
}

const smiTimeoutMs = 15_000;

async function runSmi(args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('nvidia-smi', [...args], { timeout: smiTimeoutMs });
  return stdout;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

async function driverCheck(root: string, smi: (args: readonly string[]) => Promise<string>): Promise<Check> {
  const loaded = textOf(join(root, 'proc/driver/nvidia/version'));
  const version = /Module\s+(?:for \S+\s+)?(\d[\d.]+)/.exec(loaded ?? '')?.[1];
  if (version === undefined && existsSync(join(root, 'sys/module/amdgpu')))
    return warn('driver', 'amdgpu is loaded; only NVIDIA GPUs were tried', 'see what the validator supports');
  if (version === undefined)
    return fail('driver', 'no NVIDIA driver is loaded', 'install the driver and reboot; nvidia-smi must list the GPUs');
  try {
    const listed = await smi(['--query-gpu=driver_version', '--format=csv,noheader']);
    const gpus = listed.trim().split('\n').length;
    return ok('driver', `NVIDIA ${version}, nvidia-smi lists ${gpus} GPUs`);
  } catch {
    return warn('driver', `NVIDIA ${version} is loaded, but nvidia-smi does not answer`, 'run nvidia-smi by hand');
  }
}

const runtimes = ['usr/bin/nvidia-container-runtime', 'usr/local/nvidia/toolkit/nvidia-container-runtime'];
const containerdConfigs = [
  'var/lib/rancher/k3s/agent/etc/containerd/config.toml',
  'etc/containerd/config.toml',
  'var/snap/microk8s/current/args/containerd-template.toml',
];

function runtimeCheck(root: string): Check {
  const binary = runtimes.find((path) => existsSync(join(root, path)));
  if (binary === undefined)
    return fail('container runtime', 'nvidia-container-runtime is missing', 'install nvidia-container-toolkit');
  const configs = containerdConfigs.filter((path) => existsSync(join(root, path)));
  const knows = configs.find((path) => textOf(join(root, path))?.includes('nvidia-container-runtime'));
  if (knows !== undefined) return ok('container runtime', `/${binary}, known to /${knows}`);
  const detail = configs.length === 0 ? 'no containerd was found' : `/${configs[0]} does not name it`;
  return warn('container runtime', `/${binary}, but ${detail}`, 'restart k3s, which finds the runtime by itself');
}

function openclCheck(root: string): Check {
  if (existsSync(join(root, 'etc/OpenCL/vendors/nvidia.icd'))) return ok('OpenCL', '/etc/OpenCL/vendors/nvidia.icd');
  const fix = 'none on the node: the image of the verification brings it; needed for --backend vendor here';
  return warn('OpenCL', 'no /etc/OpenCL/vendors/nvidia.icd', fix);
}

export async function lookAtMachine(options: MachineOptions = {}): Promise<MachineFacts> {
  const { root = '/', smi = runSmi, ramBytes = totalmem() } = options;
  return { ramBytes, checks: [await driverCheck(root, smi), runtimeCheck(root), openclCheck(root)] };
}
