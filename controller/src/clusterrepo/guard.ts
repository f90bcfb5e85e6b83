// The guard before every commit on `live`: the whole tree about to be written is checked, so that no GPU and no node port is given
// twice, nothing exceeds its server and nothing secret gets into git. Pure; a file by itself was checked when it was parsed.

import { chuteRegistries, type MinerConfig } from '../domain/config.ts';
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

type Tree = ReadonlyMap<string, ParsedManifest>;

export interface GuardContext {
  /** At least those of the files that are checked. */
  servers: ReadonlyMap<string, Server>;
  config: MinerConfig;
  /** Files that are new or differ from the last commit: only what concerns them is checked. Default: all. */
  changed?: ReadonlySet<string> | undefined;
  /** The tree before; a file in both must be the same. */
  before?: Tree | undefined;
  /** GPUs that the deployment's chute needs, where the chute is known. */
  gpuCount?: ((spec: DeploymentSpec) => number | undefined) | undefined;
}

function imageProblem({ image, initImages, spec }: ManifestContent, config: MinerConfig): string | undefined {
  if (!config.validators.some(({ hotkey }) => hotkey === spec.validator)) {
    return `validator ${spec.validator} is not configured`;
  }
  const { proxy, direct } = chuteRegistries(spec.validator, config);
  // Which of the two is the server's own setting; both lead to the same registry.
  const isTheirs = (name: string) => name.startsWith(`${proxy}/`) || name.startsWith(`${direct}/`);
  if (!isTheirs(image)) return `image ${image} is pulled neither through ${proxy} nor from ${direct}`;
  const other = initImages.find((name) => name !== config.images.cacheCleaner && !isTheirs(name));
  return other && `image ${other} is neither ${config.images.cacheCleaner} nor one of the validator's registry`;
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
    if (isAllocatableNodePort(nodePort)) continue;
    yield violation('node-port-range', `node port ${nodePort} may not be given to a chute`);
  }
  const server = context.servers.get(spec.server);
  const owned = new Set(server?.gpus.map(({ gpuId }) => gpuId));
  for (const gpuId of spec.gpuIds) {
    if (!owned.has(gpuId)) yield violation('gpu-unknown', `GPU ${gpuId} is not on server ${spec.server}`);
  }
}

type Claim = (kind: string, key: string, path: string) => Violation | undefined;

/** Remembers which file took a GPU or a node port first; a second one is a violation. */
function createClaims(code: ViolationCode, what: string): Claim {
  const holders = new Map<string, string>();
  return (scope, key, path) => {
    const full = scope + key;
    const holder = holders.get(full);
    if (holder === undefined) holders.set(full, path);
    if (holder === undefined) return undefined;
    return { code, paths: [...new Set([holder, path])].sort(), message: `${what} ${key} is given twice` };
  };
}

/** What a check is about: the servers and GPUs of the changed files, or (undefined) all. */
interface Scope {
  servers: ReadonlySet<string> | undefined;
  gpuIds: ReadonlySet<string> | undefined;
}

function scopeOf(tree: Tree, changed: ReadonlySet<string> | undefined): Scope {
  if (!changed) return { servers: undefined, gpuIds: undefined };
  const manifests = [...changed].flatMap((path) => tree.get(path) ?? []);
  return {
    servers: new Set(manifests.map(({ server }) => server)),
    gpuIds: new Set(manifests.flatMap(({ content }) => content?.spec.gpuIds ?? [])),
  };
}

function* checkShared(tree: Tree, scope: Scope): Generator<Violation> {
  const claimGpu = createClaims('gpu-twice', 'GPU');
  const claimPort = createClaims('node-port-twice', 'node port');
  for (const { path, server, content } of tree.values()) {
    if (!content) continue;
    for (const gpuId of content.spec.gpuIds) {
      const violation = scope.gpuIds?.has(gpuId) === false ? undefined : claimGpu('', gpuId, path);
      if (violation) yield violation;
    }
    if (scope.servers?.has(server) === false) continue;
    for (const { nodePort } of content.spec.ports) {
      const violation = claimPort(`${server}:`, String(nodePort), path);
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

function loads(tree: Tree, scope: Scope): Map<string, Load> {
  const found = new Map<string, Load>();
  for (const { path, server, content } of tree.values()) {
    if (scope.servers?.has(server) === false) continue;
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

function* checkServers(tree: Tree, scope: Scope, servers: GuardContext['servers']): Generator<Violation> {
  for (const [name, load] of loads(tree, scope)) {
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
 * Every rule of the tree that is broken; empty when it may be written. With `changed` only what these files are part of is checked:
 * each by itself, their servers, and everybody who holds one of their GPUs. The rest was checked when it was written.
 */
export function guardTree(tree: Tree, context: GuardContext): Violation[] {
  const violations: Violation[] = [];
  for (const path of context.changed ?? tree.keys()) {
    const manifest = tree.get(path);
    if (manifest) violations.push(...checkFile(manifest, context));
  }
  const scope = scopeOf(tree, context.changed);
  violations.push(...checkShared(tree, scope), ...checkServers(tree, scope, context.servers));
  return violations;
}
