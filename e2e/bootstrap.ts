// What an operator sets up before anything runs: Secrets, the first commits of the cluster repository, and folder `argocd/` applied by hand.

import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { Fleet } from './cluster/fleet.ts';
import { readObjects } from './cluster/kube.ts';

/** The sources that these tests belong to. */
export const currentProgram = fileURLToPath(new URL('..', import.meta.url));
const person = ['-c', 'user.name=A person', '-c', 'user.email=person@localhost'];

export function git(dir: string, ...args: string[]): string {
  return execFileSync('git', ['-C', dir, ...person, ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim();
}

const pushesAtMost = 10;

/** What a person committed, on top of what others push meanwhile. */
export function push(folder: string, branch: 'main' | 'live'): void {
  for (let tries = 1; ; tries++) {
    try {
      git(folder, 'push', '--quiet', 'origin', `HEAD:${branch}`);
      return;
    } catch (error) {
      if (tries === pushesAtMost) throw error;
      git(folder, 'pull', '--quiet', '--rebase', 'origin', branch);
    }
  }
}

/** Of miner.yaml. */
export function settingsOf({ miner, validator, git: host }: Fleet): Record<string, unknown> {
  const address = new URL(validator.url).host;
  return {
    hotkey: miner.address,
    validators: [
      { hotkey: validator.hotkey, registry: 'registry.chutes.ai', api: validator.url, socket: `ws://${address}` },
    ],
    git: { mode: 'external', url: host.url },
    policy: { mode: 'active' },
  };
}

/** What README and docs/manifests.md tell to make before anything is applied. */
export async function makeSecrets(fleet: Fleet, linkToken: string): Promise<void> {
  const hotkey = readFileSync(fleet.hotkeyFile, 'utf8');
  const make = (name: string, namespace: string, stringData: Record<string, string>) => [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData },
  ];
  await fleet.control.kube.apply(
    ...make('miner-credentials', 'chutes', { 'hotkey.json': hotkey }),
    ...make('postgres-secret', 'chutes', { 'postgres-password': 'unused0' }),
    ...make('redis-secret', 'chutes', { 'redis-password': fleet.redisPassword }),
    ...make('link-token', 'chutes', { token: linkToken }),
    ...make('git-credentials', 'chutes', { credentials: fleet.git.credential }),
  );
  for (const { server, plane } of fleet.servers) {
    const kubeconfig = plane.userKubeconfig('miner', [], server.name);
    await plane.kube.apply(
      ...make('miner-credentials', 'chutes-system', { 'hotkey.json': hotkey }),
      ...make('miner-kubeconfig', 'default', { kubeconfig }),
    );
  }
}

/** The first commits of `main` and `live`, by the sources in `program`, and folder `argocd/` applied by hand. */
export async function bootstrap(fleet: Fleet, dir: string, program: string): Promise<void> {
  const [main, live] = [join(dir, 'first-main'), join(dir, 'first-live')];
  cpSync(join(program, 'cluster-repo-template'), main, { recursive: true });
  writeFileSync(join(main, 'miner.yaml'), stringify(settingsOf(fleet)));
  const synth = [join(program, 'manifests-src/main.ts'), '--repo', main, '--out', live];
  execFileSync(process.execPath, ['--disable-warning=ExperimentalWarning', ...synth], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  for (const [folder, branch] of [
    [main, 'main'],
    [live, 'live'],
  ] as const) {
    git(folder, 'init', '--quiet', `--initial-branch=${branch}`);
    git(folder, 'add', '--all');
    git(folder, 'commit', '--quiet', '-m', branch === 'main' ? 'Start from the template' : 'What main says, rendered');
    git(folder, 'push', '--quiet', fleet.git.gitdir, branch);
  }
  for (const name of ['settings', 'notifications', 'projects', 'control', 'members', 'chutes']) {
    const text = readIfThere(join(live, 'argocd', `${name}.yaml`));
    if (text !== undefined) await fleet.control.kube.apply(...readObjects(text));
  }
  await fleet.argocd.restart();
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
