// The guard before every commit on `live`: the whole tree about to be written is checked, so that no GPU and no node port is given
// twice, nothing exceeds its server and nothing secret gets into git. Pure; a file by itself was checked when it was parsed.

import type { MinerConfig } from '../domain/config.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { isAllocatableNodePort } from '../domain/nodeport.ts';
import type { Server } from '../domain/server.ts';
import type { ManifestContent, ParsedManifest } from './manifest.ts';
import type { ViolationCode } from './misfits.ts';

export interface Violation {
  code: ViolationCode;
  /** The files that break the rule together, sorted. */
  paths: readonly string[];
  message: string;
}

export interface GuardContext {
  servers: ReadonlyMap<string, Server>;
  config: MinerConfig;
  /** Files that are new or differ from the last commit; the rules about one file are checked for these. Default: all. */
  changed?: ReadonlySet<string> | undefined;
  /** The tree before; a file in both must be the same. */
  before?: ReadonlyMap<string, ParsedManifest> | undefined;
  /** GPUs that the deployment's chute needs, where the chute is known. */
  gpuCount?: ((spec: DeploymentSpec) => number | undefined) | undefined;
}

function imageProblem({ image, initImages, spec }: ManifestContent, config: MinerConfig): string | undefined {
  if (!config.validators.some(({ hotkey }) => hotkey === spec.validator)) {
    return `validator ${spec.validator} is not configured`;
  }
  const host = `${spec.validator.toLowerCase()}.localregistry.chutes.ai:${config.registry.port}`;
  if (!image.startsWith(`${host}/`)) return `image ${image} is not pulled through ${host}`;
  const other = initImages.find((name) => name !== config.images.cacheCleaner && !name.startsWith(`${host}/`));
  return other && `image ${other} is neither ${config.images.cacheCleaner} nor pulled through ${host}`;
}

function* checkFile(manifest: ParsedManifest, context: GuardContext): Generator<Violation> {
  const { path, content } = manifest;
  const violation = (code: ViolationCode, message: string): Violation => ({ code, paths: [path], message });
  for (const { code, message } of manifest.findings) yield violation(code, message);
  const old = context.before?.get(path);
  if (old && old.oid !== manifest.oid) yield violation('manifest-changed', 'the file of a deployment never changes');
  if (!content) return;
  const { spec } = content;
  const wrongImage = imageProblem(content, context.config);
  if (wrongImage) yield violation('wrong-registry', wrongImage);
  const wanted = context.gpuCount?.(spec);
  if (wanted !== undefined && wanted !== spec.gpuIds.length) {
    yield violation('gpu-count', `holds ${spec.gpuIds.length} GPUs, the chute needs ${wanted}`);
  }
  for (const { nodePort } of spec.ports) {
    if (isAllocatableNodePort(nodePort) && nodePort !== context.config.registry.port) continue;
    yield violation('node-port-range', `node port ${nodePort} may not be given to a chute`);
  }
  const server = context.servers.get(spec.server);
  const owned = new Set(server?.gpus.map(({ gpuId }) => gpuId));
  for (const gpuId of spec.gpuIds) {
    if (!owned.has(gpuId)) yield violation('gpu-unknown', `GPU ${gpuId} is not on server ${spec.server}`);
  }
}

/** First file that took each key, and a violation for every further one. */
function once(code: ViolationCode, what: string): (key: string, path: string) => Violation | undefined {
  const holders = new Map<string, string>();
  return (key, path) => {
    const holder = holders.get(key);
    if (holder === undefined) holders.set(key, path);
    return holder === undefined
      ? undefined
      : { code, paths: [...new Set([holder, path])].sort(), message: `${what} ${key} is given twice` };
  };
}

function* checkShared(tree: ReadonlyMap<string, ParsedManifest>): Generator<Violation> {
  const gpu = once('gpu-twice', 'GPU');
  const port = once('node-port-twice', 'node port');
  for (const { path, content } of tree.values()) {
    if (!content) continue;
    for (const gpuId of content.spec.gpuIds) {
      const violation = gpu(gpuId, path);
      if (violation) yield violation;
    }
    for (const { nodePort } of content.spec.ports) {
      const violation = port(`${content.spec.server}:${nodePort}`, path);
      if (violation) yield violation;
    }
  }
}

interface Load {
  paths: string[];
  cpu: number;
  memoryGi: number;
  diskGi: number;
  unreadable: string[];
}

function loads(tree: ReadonlyMap<string, ParsedManifest>): Map<string, Load> {
  const found = new Map<string, Load>();
  for (const { path, server, content } of tree.values()) {
    let load = found.get(server);
    if (!load) {
      load = { paths: [], cpu: 0, memoryGi: 0, diskGi: 0, unreadable: [] };
      found.set(server, load);
    }
    load.paths.push(path);
    if (!content) {
      load.unreadable.push(path);
      continue;
    }
    load.cpu += content.cpu;
    load.memoryGi += content.memoryGi;
    load.diskGi += content.diskGi;
  }
  return found;
}

function* checkServers(tree: ReadonlyMap<string, ParsedManifest>, { servers }: GuardContext): Generator<Violation> {
  for (const [name, load] of loads(tree)) {
    const paths = [...load.paths].sort();
    if (load.unreadable.length > 0 && paths.length > load.unreadable.length) {
      // Its GPUs and ports are unknown, and Argo CD cannot apply the folder: nothing may be added beside it.
      const message = `server ${name} has a file that cannot be read: ${load.unreadable.join(', ')}`;
      yield { code: 'unreadable', paths, message };
    }
    const server = servers.get(name);
    if (!server) continue;
    const gpus = server.gpus.length;
    const limits = [
      ['CPUs', load.cpu, server.cpuPerGpu * gpus],
      ['GiB of memory', load.memoryGi, server.memoryPerGpu * gpus],
      ['GB of disk', load.diskGi, server.diskGb],
    ] as const;
    for (const [unit, used, limit] of limits) {
      if (used <= limit) continue;
      yield {
        code: 'over-resources',
        paths,
        message: `server ${name} has ${limit} ${unit}, its deployments need ${used}`,
      };
    }
  }
}

/**
 * Every rule of the tree that is broken; empty when it may be written. Rules about one file are checked for `changed`, rules across
 * files for all. A caller may go on with violations among unchanged files alone: they were there before.
 */
export function guardTree(tree: ReadonlyMap<string, ParsedManifest>, context: GuardContext): Violation[] {
  const paths = context.changed ?? tree.keys();
  const violations: Violation[] = [];
  for (const path of paths) {
    const manifest = tree.get(path);
    if (manifest) violations.push(...checkFile(manifest, context));
  }
  violations.push(...checkShared(tree), ...checkServers(tree, context));
  return violations;
}
