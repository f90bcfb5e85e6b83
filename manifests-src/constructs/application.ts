// An Argo CD Application and an AppProject. An Application has no finalizer: when it goes, what it applied stays, so that no mistake in
// git ends the chutes of a server, and a server that is gone for good holds nothing up.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { ApiObject } from 'cdk8s';
import type { Construct } from 'constructs';
import type { Allowed } from '../argocd/kinds.ts';
import { repositoryUrl } from './repository.ts';
import { inWave } from './waves.ts';

const apiVersion = 'argoproj.io/v1alpha1';

/** Argo CD's name of the cluster it runs in. */
export const controlCluster = 'in-cluster';

export interface Destination {
  /** Of the cluster: that of its cluster Secret. The credential is there, never here. */
  name: string;
  namespace?: string;
}

export interface ProjectProps {
  config: MinerConfig;
  name: string;
  description: string;
  destinations: Required<Destination>[];
  allowed: Allowed;
  /** Shows what else is in the namespaces of its Applications, without a warning. Default: no. */
  showOthers?: boolean;
}

export function project(scope: Construct, props: ProjectProps): void {
  const { config, name, description, destinations, allowed, showOthers = false } = props;
  new ApiObject(scope, `project-${name}`, {
    apiVersion,
    kind: 'AppProject',
    // Before the Applications: one whose project does not allow its server yet is looked at again only minutes later.
    metadata: { name, namespace: config.argocd.namespace, annotations: inWave('settings') },
    spec: {
      description,
      sourceRepos: [repositoryUrl(config)],
      destinations,
      clusterResourceWhitelist: allowed.cluster,
      namespaceResourceWhitelist: allowed.namespaced,
      ...(showOthers && { orphanedResources: { warn: false } }),
    },
  });
}

export interface ApplicationProps {
  config: MinerConfig;
  name: string;
  project: string;
  destination: Destination;
  /** The folder it applies, from the top of `live`. */
  folder: string;
  /**
   * Argo CD takes a folder that is no longer there for an error and removes nothing, and git keeps no empty folder. True for a folder that
   * may become empty: it is picked out of the whole tree, and the last object in it is removed like any other. Default: an empty or
   * missing folder removes nothing.
   */
  mayBeEmpty?: boolean;
  /**
   * Its manifests were checked before they were committed, and hold nothing that a cluster fills in: they are not validated once more, are
   * compared without exceptions, and what is pruned leaves at once, its pods by themselves. Default: no.
   */
  checked?: boolean;
  /**
   * It holds Applications, and nothing that a cluster fills in. Their status is a field like any other to the API server, and with
   * RespectIgnoreDifferences Argo CD would put back an older one with each sync (seen: `Unknown` for minutes). Default: no.
   */
  holdsApplications?: boolean;
  /** Seconds before a failed sync is tried again the first time, and at most. */
  retry: readonly [first: number, most: number];
  annotations?: Record<string, string>;
  labels?: Record<string, string>;
  /** Commands for people, by name. */
  info?: Record<string, string>;
}

/** R18: what clusters fill in, so that it is neither drift nor sent back. */
const filledIn = [
  { group: '', kind: 'Service', jsonPointers: ['/spec/clusterIP', '/spec/clusterIPs'] },
  {
    group: 'batch',
    kind: 'Job',
    jsonPointers: [
      '/spec/selector',
      '/spec/template/metadata/labels/batch.kubernetes.io~1controller-uid',
      '/spec/template/metadata/labels/batch.kubernetes.io~1job-name',
      '/spec/template/metadata/labels/controller-uid',
      '/spec/template/metadata/labels/job-name',
    ],
  },
];

/** No Replace and no Force: they would end a running instance (R15). */
const syncOptions = ['ApplyOutOfSyncOnly=true', 'CreateNamespace=false', 'ServerSideApply=true'];
/** Measured: three quarters of the processor time that many new chutes cost Argo CD went into what these leave out. */
const checkedOptions = ['PrunePropagationPolicy=background', 'Validate=false'];
const uncheckedOptions = ['PrunePropagationPolicy=foreground'];

export function application(scope: Construct, props: ApplicationProps): void {
  const { config, name, destination, folder, mayBeEmpty = false, checked = false, retry } = props;
  const hasFilledIn = !checked && !props.holdsApplications;
  const { namespace, selfHeal, retryLimit } = config.argocd;
  const source = mayBeEmpty
    ? { path: '.', directory: { recurse: true, include: `${folder}/*.yaml` } }
    : { path: folder, directory: { recurse: true } };
  const info = Object.entries(props.info ?? {}).map(([what, value]) => ({ name: what, value }));
  new ApiObject(scope, name, {
    apiVersion,
    kind: 'Application',
    metadata: {
      name,
      namespace,
      ...(props.labels && { labels: props.labels }),
      // Without it every commit makes Argo CD render every Application again.
      annotations: {
        'argocd.argoproj.io/manifest-generate-paths': `/${folder}`,
        ...inWave('workload'),
        ...props.annotations,
      },
    },
    spec: {
      project: props.project,
      source: { repoURL: repositoryUrl(config), targetRevision: 'live', ...source },
      destination,
      syncPolicy: {
        automated: { prune: true, selfHeal, allowEmpty: mayBeEmpty },
        retry: { limit: retryLimit, backoff: { duration: `${retry[0]}s`, factor: 2, maxDuration: `${retry[1]}s` } },
        syncOptions: [
          ...syncOptions,
          ...(checked ? checkedOptions : uncheckedOptions),
          ...(hasFilledIn ? ['RespectIgnoreDifferences=true'] : []),
        ].sort(),
      },
      ...(hasFilledIn && { ignoreDifferences: filledIn }),
      revisionHistoryLimit: 3,
      ...(info.length > 0 && { info }),
    },
  });
}
