// The programs of the test cluster, built once from Go modules and kept outside of the clone, by what they are built from. Who comes second
// while a build runs waits for it.

import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { type GoToolchain, goToolchain } from './golang.ts';
import { withFileLock } from './lock.ts';

interface Module {
  /** Folder below `tools/`, with go.mod and go.sum. */
  name: string;
  /** File name by package. */
  programs: Readonly<Record<string, string>>;
  ldflags?: string;
  /** Folders and files of modules that are wanted besides, by where they are put below `share/`. */
  files?: readonly { module: string; path: string; as: string }[];
}

const kubernetesVersion = 'v1.34.4';
const stamp = 'k8s.io/component-base/version';
/** A build from modules knows no version of its own. */
const versionFlags = [
  `-X ${stamp}.gitVersion=${kubernetesVersion}`,
  `-X ${stamp}.gitMajor=1`,
  `-X ${stamp}.gitMinor=34`,
  `-X ${stamp}.gitCommit=chutes-miner`,
  `-X k8s.io/client-go/pkg/version.gitVersion=${kubernetesVersion}`,
].join(' ');

const kubernetes = (name: string): [string, string] => [`k8s.io/kubernetes/cmd/${name}`, name];

const basic: readonly Module[] = [
  {
    name: 'controlplane',
    ldflags: versionFlags,
    programs: Object.fromEntries([
      kubernetes('kube-apiserver'),
      kubernetes('kube-controller-manager'),
      kubernetes('kube-scheduler'),
      kubernetes('kubectl'),
      ['github.com/argoproj/argo-cd/v3/cmd', 'argocd'],
    ]),
    files: [{ module: 'github.com/argoproj/argo-cd/v3', path: 'manifests/install.yaml', as: 'argocd/install.yaml' }],
  },
  {
    name: 'kwok',
    programs: { 'sigs.k8s.io/kwok/cmd/kwok': 'kwok' },
    files: [
      { module: 'sigs.k8s.io/kwok', path: 'kustomize/stage/node/fast', as: 'kwok/node' },
      { module: 'sigs.k8s.io/kwok', path: 'kustomize/stage/node/heartbeat-with-lease', as: 'kwok/heartbeat' },
      { module: 'sigs.k8s.io/kwok', path: 'kustomize/stage/pod/fast', as: 'kwok/pod' },
    ],
  },
];

/** What a node with a real kubelet needs besides. */
const forNode: readonly Module[] = [
  {
    name: 'controlplane',
    ldflags: versionFlags,
    programs: Object.fromEntries([kubernetes('kubelet'), kubernetes('kube-proxy')]),
  },
];

const toolsFolder = fileURLToPath(new URL('tools', import.meta.url));

function cacheFolder(): string {
  const home = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const hash = createHash('sha256').update(versionFlags);
  for (const { name } of basic) {
    for (const file of ['go.mod', 'go.sum']) hash.update(readFileSync(join(toolsFolder, name, file)));
  }
  return join(home, 'chutes-miner', 'e2e', hash.digest('hex').slice(0, 16));
}

export interface Tools {
  /** Folder of the programs. */
  bin: string;
  /** Folder of the files that come with them: `argocd/install.yaml`, `kwok/…`. */
  share: string;
}

const moduleInfo = z.object({ Dir: z.string() });

/** Built from a copy: the clone may be moved to another commit meanwhile. */
function copyModule({ name }: Module, to: string): string {
  const folder = join(to, name);
  mkdirSync(folder, { recursive: true });
  for (const file of ['go.mod', 'go.sum']) copyFileSync(join(toolsFolder, name, file), join(folder, file));
  return folder;
}

function copyFiles(go: GoToolchain, module: Module, cwd: string, share: string): void {
  for (const { module: path, path: below, as } of module.files ?? []) {
    const { Dir } = moduleInfo.parse(JSON.parse(go.run(['mod', 'download', '-json', path], cwd)));
    const [from, to] = [join(Dir, below), join(share, as)];
    mkdirSync(dirname(to), { recursive: true });
    if (below.endsWith('.yaml')) copyFileSync(from, to);
    else {
      mkdirSync(to, { recursive: true });
      for (const name of readdirSync(from).filter((one) => one.endsWith('.yaml')))
        copyFileSync(join(from, name), join(to, name));
    }
  }
}

async function build(
  go: GoToolchain,
  module: Module,
  cwd: string,
  tools: Tools,
  tell: (line: string) => void,
): Promise<void> {
  for (const [path, name] of Object.entries(module.programs)) {
    const file = join(tools.bin, name);
    if (existsSync(file)) continue;
    const startedAt = performance.now();
    tell(`building ${name} …`);
    const flags = ['-trimpath', '-ldflags', `-s -w ${module.ldflags ?? ''}`.trim()];
    await go.build([...flags, '-o', `${file}.new`, path], cwd);
    renameSync(`${file}.new`, file);
    tell(`built ${name} in ${Math.round((performance.now() - startedAt) / 1000)} s`);
  }
}

export interface ToolOptions {
  /** With kubelet and kube-proxy. Default: without. */
  node?: boolean;
  /** Told what is being built. Default: standard error. */
  tell?: (line: string) => void;
}

/** Cold about a quarter of an hour on 2 cores; afterwards at once. Rejects when a build fails, with what the compiler said. */
export async function ensureTools({ node = false, tell = console.error }: ToolOptions = {}): Promise<Tools> {
  const folder = cacheFolder();
  const tools = { bin: join(folder, 'bin'), share: join(folder, 'share') };
  const modules = node ? [...basic, ...forNode] : basic;
  const done = join(folder, node ? 'done-node' : 'done');
  if (existsSync(done)) return tools;
  mkdirSync(tools.bin, { recursive: true });
  await withFileLock(join(folder, 'building'), async () => {
    if (existsSync(done)) return;
    const go = await goToolchain(join(folder, 'go'), tell);
    for (const module of modules) {
      const cwd = copyModule(module, join(folder, 'src'));
      copyFiles(go, module, cwd, tools.share);
      await build(go, module, cwd, tools, tell);
    }
    writeFileSync(done, `${new Date().toISOString()}\n`);
  });
  return tools;
}
