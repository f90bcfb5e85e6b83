// The Kubernetes API in few words, for tests: any kind, by apply, get, list, patch, delete. Thin over HTTPS, so that what a test sends is
// what it says.

import { readFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:https';
import { KubeConfig, Watch } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    resourceVersion?: string;
    [key: string]: unknown;
  };
  [key: string]: unknown;
}

/** Plural path of a kind, as `batch/v1/jobs`, `v1/pods`, `argoproj.io/v1alpha1/applications`. */
export type Resource = string;

export class KubeError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.name = 'KubeError';
    this.status = status;
  }
}

export interface Kube {
  /** Answer to a GET as text. Rejects with KubeError for anything but 2xx. */
  raw(path: string): Promise<string>;
  /** Undefined when it is not there. */
  get(resource: Resource, name: string, namespace?: string): Promise<KubeObject | undefined>;
  /** In all namespaces without one. */
  list(resource: Resource, namespace?: string, selector?: string): Promise<KubeObject[]>;
  create(resource: Resource, object: object, namespace?: string): Promise<KubeObject>;
  /** Server-side apply, taking fields from others. Custom kinds must be known to the server by now. */
  apply(...objects: readonly object[]): Promise<void>;
  /** What the server warns of when it applies this; nothing is written. Rejects with KubeError for a field that it does not know. */
  dryRun(object: object): Promise<string[]>;
  /** Merge patch; `subresource` as in `status`. */
  patch(
    resource: Resource,
    name: string,
    change: object,
    namespace?: string,
    subresource?: string,
  ): Promise<KubeObject>;
  /** One that is not there counts as deleted. */
  delete(resource: Resource, name: string, namespace?: string, options?: object): Promise<void>;
  accountToken(namespace: string, account: string): Promise<string>;
  /** `onEvent` gets every object that is there and each change, until the way to stop is called; it lists again when the stream breaks. */
  watch(
    resource: Resource,
    namespace: string | undefined,
    onEvent: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject) => void,
  ): () => void;
  close(): void;
}

const timeoutMs = 30_000;
const applyType = 'application/apply-patch+yaml';
const plurals = new Map<string, { plural: string; namespaced: boolean }>();

const answerShape = z.looseObject({ message: z.string().catch('') });
const listShape = z.object({
  metadata: z.looseObject({ resourceVersion: z.string() }),
  items: z.array(z.looseObject({ metadata: z.looseObject({ name: z.string() }) })),
});
const resourcesShape = z.object({
  resources: z.array(z.object({ name: z.string(), kind: z.string(), namespaced: z.boolean() })),
});
const tokenShape = z.object({ status: z.object({ token: z.string() }) });

function pathOf(resource: Resource, namespace?: string, name?: string): string {
  const parts = resource.split('/');
  const plural = parts.at(-1) ?? '';
  const version = parts.slice(0, -1).join('/');
  const root = version.includes('/') ? `/apis/${version}` : `/api/${version}`;
  const within = namespace === undefined ? '' : `/namespaces/${namespace}`;
  return `${root}${within}/${plural}${name === undefined ? '' : `/${name}`}`;
}

/** Objects of a YAML text with several documents; a List becomes its items. */
export function readObjects(text: string): KubeObject[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null)
    .flatMap((object) => (object.kind === 'List' ? (object.items as KubeObject[]) : [object]));
}

export function openKube(kubeconfigFile: string): Kube {
  const config = new KubeConfig();
  config.loadFromString(readFileSync(kubeconfigFile, 'utf8'));
  const server = config.getCurrentCluster()?.server ?? '';
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });

  async function call(
    method: string,
    path: string,
    body?: object,
    type = 'application/json',
    onWarning: (warning: string) => void = () => undefined,
  ): Promise<string> {
    const options: RequestOptions = { method, signal: AbortSignal.timeout(timeoutMs) };
    await config.applyToHTTPSOptions(options);
    const { ca, cert, key } = options;
    const headers: Record<string, string> = { accept: 'application/json' };
    const text = body === undefined ? undefined : JSON.stringify(body);
    if (text !== undefined) {
      headers['content-type'] = type;
      // With DELETE it is not set by itself, and the body would be taken for the next request.
      headers['content-length'] = String(Buffer.byteLength(text));
    }
    const sent = { ...options, ca, cert, key, agent, headers: { ...options.headers, ...headers } } as RequestOptions;
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    request(server + path, sent, (answer) => {
      let said = '';
      for (const warning of answer.headersDistinct.warning ?? []) onWarning(warning);
      answer.setEncoding('utf8');
      answer.on('data', (chunk: string) => {
        said += chunk;
      });
      answer.on('error', reject);
      answer.on('end', () => {
        const status = answer.statusCode ?? 0;
        if (status >= 200 && status < 300) return resolve(said);
        reject(new KubeError(status, `${method} ${path}: HTTP ${status} ${messageIn(said)}`));
      });
    })
      .on('error', reject)
      .end(text);
    return promise;
  }

  function messageIn(text: string): string {
    try {
      return answerShape.parse(JSON.parse(text)).message;
    } catch {
      return text.slice(0, 200);
    }
  }

  const object = async (text: Promise<string>): Promise<KubeObject> => JSON.parse(await text) as KubeObject;

  async function kindOf({ apiVersion, kind }: KubeObject): Promise<{ plural: string; namespaced: boolean }> {
    const key = `${server} ${apiVersion} ${kind}`;
    const known = plurals.get(key);
    if (known) return known;
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    const { resources } = resourcesShape.parse(JSON.parse(await call('GET', root)));
    const found = resources.find((one) => one.kind === kind && !one.name.includes('/'));
    if (!found) throw new KubeError(404, `the server knows no ${kind} of ${apiVersion}`);
    const made = { plural: found.name, namespaced: found.namespaced };
    plurals.set(key, made);
    return made;
  }

  async function applyPath(object: KubeObject): Promise<string> {
    const { plural, namespaced } = await kindOf(object);
    const namespace = namespaced ? (object.metadata.namespace ?? 'default') : undefined;
    const path = pathOf(`${object.apiVersion}/${plural}`, namespace, object.metadata.name);
    return `${path}?fieldManager=cluster-tests&force=true`;
  }

  async function listAll(resource: Resource, namespace?: string, selector?: string) {
    const query = selector === undefined ? '' : `?labelSelector=${encodeURIComponent(selector)}`;
    return listShape.parse(JSON.parse(await call('GET', `${pathOf(resource, namespace)}${query}`)));
  }

  return {
    raw: (path) => call('GET', path),
    async get(resource, name, namespace) {
      try {
        return await object(call('GET', pathOf(resource, namespace, name)));
      } catch (error) {
        if (error instanceof KubeError && error.status === 404) return undefined;
        throw error;
      }
    },
    list: async (resource, namespace, selector) =>
      (await listAll(resource, namespace, selector)).items as unknown as KubeObject[],
    create: (resource, made, namespace) => object(call('POST', pathOf(resource, namespace), made)),
    async apply(...objects) {
      for (const one of objects as KubeObject[]) await call('PATCH', await applyPath(one), one, applyType);
    },
    async dryRun(one) {
      const warnings: string[] = [];
      const path = `${await applyPath(one as KubeObject)}&dryRun=All&fieldValidation=Strict`;
      await call('PATCH', path, one, applyType, (warning) => warnings.push(warning));
      return warnings;
    },
    patch: (resource, name, change, namespace, subresource) =>
      object(
        call(
          'PATCH',
          `${pathOf(resource, namespace, name)}${subresource === undefined ? '' : `/${subresource}`}`,
          change,
          'application/merge-patch+json',
        ),
      ),
    async delete(resource, name, namespace, options) {
      await call('DELETE', pathOf(resource, namespace, name), options).catch((error: unknown) => {
        if (!(error instanceof KubeError && error.status === 404)) throw error;
      });
    },
    async accountToken(namespace, account) {
      const path = `${pathOf('v1/serviceaccounts', namespace, account)}/token`;
      const body = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { expirationSeconds: 86_400 },
      };
      return tokenShape.parse(JSON.parse(await call('POST', path, body))).status.token;
    },
    watch(resource, namespace, onEvent) {
      let stopped = false;
      let abort: (() => void) | undefined;
      const known = new Map<string, KubeObject>();
      const keyOf = ({ metadata }: KubeObject) => `${metadata.namespace ?? ''}/${metadata.name}`;
      function tell(type: 'ADDED' | 'MODIFIED' | 'DELETED', one: KubeObject): void {
        const before = known.get(keyOf(one));
        if (type === 'DELETED') known.delete(keyOf(one));
        else known.set(keyOf(one), one);
        if (type === 'DELETED') onEvent(type, one);
        else if (before?.metadata.uid === one.metadata.uid) onEvent('MODIFIED', one);
        else {
          if (before) onEvent('DELETED', before);
          onEvent('ADDED', one);
        }
      }
      async function round(): Promise<void> {
        const { items, metadata } = await listAll(resource, namespace);
        const now = items as unknown as KubeObject[];
        const present = new Set(now.map(keyOf));
        for (const one of [...known.values()]) if (!present.has(keyOf(one))) tell('DELETED', one);
        for (const one of now) tell('MODIFIED', one);
        if (stopped) return;
        const { promise, resolve } = Promise.withResolvers<void>();
        const query = { resourceVersion: metadata.resourceVersion, allowWatchBookmarks: true };
        const watching = await new Watch(config).watch(
          pathOf(resource, namespace),
          query,
          (type: string, one: KubeObject) => {
            if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') tell(type, one);
            else if (type === 'ERROR') resolve();
          },
          () => resolve(),
        );
        abort = () => watching.abort();
        if (stopped) abort();
        await promise;
      }
      async function rounds(): Promise<void> {
        while (!stopped) {
          await round().catch(() => undefined);
          if (!stopped) await new Promise((resolve) => setTimeout(resolve, 200).unref());
        }
      }
      void rounds();
      return () => {
        stopped = true;
        abort?.();
      };
    },
    close: () => agent.destroy(),
  };
}
