// Which resource and object a request path of the Kubernetes API means.

import { namespace } from './admission.ts';
import { ApiError } from './kube.ts';
import type { Resource } from './store.ts';

export interface Target {
  resource: Resource;
  /** Undefined: the collection. */
  name: string | undefined;
  /** `log` of a pod; other subresources are not served. */
  subresource: string | undefined;
}

const core = new Set(['nodes', 'pods', 'services', 'secrets', 'configmaps']);

/**
 * Read a path such as `/apis/batch/v1/namespaces/chutes/jobs/x`. Throws ApiError NotFound for a resource that is not served; undefined
 * for a namespace other than `chutes`.
 */
export function parsePath(path: string): Target | undefined {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const isCore = parts[0] === 'api' && parts[1] === 'v1';
  const isBatch = parts[0] === 'apis' && parts[1] === 'batch' && parts[2] === 'v1';
  const rest = parts.slice(isCore ? 2 : 3);
  const inNamespace = rest[0] === 'namespaces' && rest.length > 2;
  const [resource = '', name, subresource] = inNamespace ? rest.slice(2) : rest;
  const served = isCore ? core.has(resource) : isBatch && resource === 'jobs';
  const scopeFits = inNamespace ? resource !== 'nodes' : resource === 'nodes' || name === undefined;
  const subresourceFits = subresource === undefined || (resource === 'pods' && subresource === 'log');
  if (!served || !scopeFits || !subresourceFits || rest.length > (inNamespace ? 5 : 3)) {
    throw new ApiError('NotFound', 'the server could not find the requested resource');
  }
  if (inNamespace && rest[1] !== namespace) return undefined;
  return { resource: resource as Resource, name, subresource };
}
