// Layers of container images as tar files, from what this machine has: busybox, programs with their libraries, our sources with the packages
// that they import. Nothing is downloaded.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A file in the image: copied from a path, or with this text and executable. */
export type Content = { from: string } | { text: string } | { link: string };

/** A layer with these files by their path in the image. */
export function filesLayer(
  tar: string,
  files: Readonly<Record<string, Content>>,
  folders: readonly string[] = [],
): string {
  const staged = `${tar}.d`;
  for (const folder of folders) {
    mkdirSync(join(staged, folder), { recursive: true });
    // Whoever the pod runs as.
    chmodSync(join(staged, folder), 0o1777);
  }
  for (const [path, content] of Object.entries(files)) {
    const target = join(staged, path);
    mkdirSync(dirname(target), { recursive: true });
    if ('from' in content) cpSync(content.from, target, { dereference: true });
    else if ('link' in content) symlinkSync(content.link, target);
    else writeFileSync(target, content.text, { mode: 0o755 });
  }
  packed(tar, staged, ['.']);
  return tar;
}

function packed(tar: string, from: string, paths: readonly string[], ...options: string[]): void {
  const owner = ['--owner=0', '--group=0', '--sort=name', '--mtime=@0'];
  execFileSync('tar', ['--create', `--file=${tar}`, ...owner, `--directory=${from}`, ...options, '--files-from=-'], {
    input: `${paths.join('\n')}\n`,
    stdio: ['pipe', 'ignore', 'inherit'],
  });
}

/** A program and what it is linked with, by their paths in the image. */
export function programFiles(program: string, as: string): Record<string, Content> {
  const files: Record<string, Content> = { [as]: { from: realpathSync(program) } };
  const text = execFileSync('ldd', [program], { encoding: 'utf8' });
  for (const [, library = ''] of text.matchAll(/(\/\S+) \(0x/g)) files[library] = { from: realpathSync(library) };
  return files;
}

/** A shell, and the usual small programs. */
export function busyboxFiles(): Record<string, Content> {
  const names = execFileSync('busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n');
  const applets = names.filter((one) => one !== 'busybox');
  return {
    'bin/busybox': { from: '/bin/busybox' },
    ...Object.fromEntries(applets.map((one) => [`bin/${one}`, { link: '/bin/busybox' }])),
    'etc/passwd': { text: 'root:x:0:0::/:/bin/sh\nnode:x:1000:1000::/tmp:/bin/sh\n' },
    'etc/group': { text: 'root:x:0:\nnode:x:1000:\n' },
  };
}

interface LockEntry {
  link?: boolean;
  resolved?: string;
  dependencies?: Record<string, string>;
  peerDependencies?: Record<string, string>;
  peerDependenciesMeta?: Record<string, { optional?: boolean }>;
}

/** What npm installs with a package. */
function needs({ dependencies, peerDependencies = {}, peerDependenciesMeta = {} }: LockEntry = {}): string[] {
  const peers = Object.keys(peerDependencies).filter((name) => !peerDependenciesMeta[name]?.optional);
  return [...Object.keys(dependencies ?? {}), ...peers];
}

/** Folders of the packages that these workspaces import, with what those import, as the lockfile has them. */
function packageFolders(workspaces: readonly string[]): string[] {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  const found = new Set<string>();
  function visit(from: string): void {
    for (const name of needs(packages[from])) {
      let path: string | undefined;
      for (let at = from; ; at = at.includes('/node_modules/') ? at.slice(0, at.lastIndexOf('/node_modules/')) : '') {
        const candidate = `${at}${at && '/'}node_modules/${name}`;
        if (packages[candidate]) path = candidate;
        if (path !== undefined || at === '') break;
      }
      if (path === undefined) throw new Error(`${name}, of ${from}, is not in the lockfile`);
      if (found.has(path)) continue;
      found.add(path);
      const entry = packages[path];
      visit(entry?.link ? (entry.resolved ?? '') : path);
    }
  }
  for (const workspace of workspaces) visit(workspace);
  return [...found];
}

/** What the workspaces are to each other. */
function links(): string[] {
  return readdirSync(join(root, 'node_modules/@miner')).map((name) => `node_modules/@miner/${name}`);
}

/** Our sources and the packages of these workspaces in `/app`. */
export function programLayer(tar: string, workspaces: readonly string[]): string {
  const sources = [
    'controller',
    'manifests-src',
    'simulator',
    'native/graval/src',
    'native/graval/package.json',
    'e2e/node',
  ];
  const ours = ['package.json', 'e2e/package.json', ...sources, ...links()];
  const unneeded = ['*.test.ts', '*.d.ts', '*.d.cts', '*.d.mts', '*.map', '*.md', '.git*'].map(
    (one) => `--exclude=${one}`,
  );
  const exclude = [...unneeded, '--exclude=golden', '--exclude=testing/data'];
  const paths = [...ours, ...packageFolders(workspaces)];
  const outer = paths.filter((path) => !paths.some((other) => path.startsWith(`${other}/`)));
  // The same file may have several names in node_modules.
  packed(tar, root, outer, ...exclude, '--hard-dereference', '--transform=s,^,app/,S');
  return tar;
}
