// The cluster repository as controller, Gepetto and Argo CD reach it: at the embedded git server or at a host of the miner's own.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import type { k8s } from 'cdk8s-plus-28';
import { embeddedGit, gitAccess, gitServerLabels } from './git-server.ts';
import { pods, tcp, toAnywhere } from './network-policy.ts';
import { portOfUrl, secretFile } from './program.ts';

export const repositoryClaim = 'cluster-repository';

const copies = '/var/lib/chutes/repository';

export interface RepositoryAccess {
  args: string[];
  podLabels: Record<string, string>;
  volumes: k8s.Volume[];
  mounts: k8s.VolumeMount[];
  egress: k8s.NetworkPolicyEgressRule;
}

export function gitUrl({ git }: MinerConfig): string {
  return git.url ?? embeddedGit.url;
}

/** Where Argo CD reads branch `live`. */
export function repositoryUrl(config: MinerConfig): string {
  return config.argocd.repositoryUrl ?? gitUrl(config);
}

/** Controller and Gepetto each work on a copy of their own of what the git host has. */
export function repositoryOf(config: MinerConfig, role: string): RepositoryAccess {
  const { git } = config;
  const url = gitUrl(config);
  const credentials = secretFile('git', git.credentials, 'credentials');
  const isEmbedded = git.mode === 'embedded';
  return {
    args: [`--repository=${copies}/${role}.git`, `--git-url=${url}`, `--git-credential-file=${credentials.path}`],
    podLabels: isEmbedded ? gitAccess : {},
    volumes: [{ name: 'repository', persistentVolumeClaim: { claimName: repositoryClaim } }, credentials.volume],
    mounts: [{ name: 'repository', mountPath: copies }, credentials.mount],
    egress: isEmbedded ? { to: [pods(gitServerLabels)], ports: tcp(embeddedGit.port) } : toAnywhere(portOfUrl(url)),
  };
}
