// A real OCI registry (Debian's docker-registry) and small images in it, put there through its API.

import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { type RunningProcess, startProcess } from './processes.ts';

export interface OciRegistry extends RunningProcess<string> {
  /** Below it: `/v2/`. */
  url: string;
}

/** On a free port of `host`; `more` are further sections of its configuration, such as `auth`. */
export async function startOciRegistry(dir: string, host = '127.0.0.1', more: object = {}): Promise<OciRegistry> {
  mkdirSync(dir, { recursive: true });
  const config = {
    version: '0.1',
    log: { level: 'info', formatter: 'text' },
    storage: { filesystem: { rootdirectory: `${dir}/data` } },
    http: { addr: `${host}:0` },
    ...more,
  };
  writeFileSync(`${dir}/config.yml`, JSON.stringify(config));
  const args = ['serve', `${dir}/config.yml`];
  const registry = await startProcess(
    '/usr/bin/docker-registry',
    args,
    (line) => /listening on ([\d.]+:\d+)/.exec(line)?.[1],
  );
  return { ...registry, url: `http://${registry.value}` };
}

export const manifestType = 'application/vnd.oci.image.manifest.v1+json';

export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

export interface PushedImage {
  manifest: Buffer;
  config: Buffer;
  layer: Buffer;
}

async function expectStatus(what: string, status: number, answer: Response): Promise<Response> {
  if (answer.status !== status) throw new Error(`${what}: HTTP ${answer.status} ${await answer.text()}`);
  return answer;
}

async function pushBlob(url: string, repository: string, bytes: Buffer): Promise<void> {
  const upload = await fetch(`${url}/v2/${repository}/blobs/uploads/`, { method: 'POST' });
  const target = new URL((await expectStatus('upload', 202, upload)).headers.get('location') ?? '', url);
  target.searchParams.set('digest', digestOf(bytes));
  const headers = { 'content-type': 'application/octet-stream' };
  await expectStatus('blob', 201, await fetch(target, { method: 'PUT', headers, body: new Uint8Array(bytes) }));
}

/** Resolves with what was put under the tag. `settings` is what a container starts with, `layers` are tar files, the lowest first. */
export async function putImage(
  url: string,
  repository: string,
  tag: string,
  layers: readonly Buffer[],
  settings: object = {},
): Promise<{ manifest: Buffer; config: Buffer }> {
  const rootfs = { type: 'layers', diff_ids: layers.map(digestOf) };
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', config: settings, rootfs }));
  const entry = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: entry('application/vnd.oci.image.config.v1+json', config),
      layers: layers.map((layer) => entry('application/vnd.oci.image.layer.v1.tar', layer)),
    }),
  );
  for (const bytes of [...layers, config]) await pushBlob(url, repository, bytes);
  const headers = { 'content-type': manifestType };
  const target = `${url}/v2/${repository}/manifests/${tag}`;
  const put = fetch(target, { method: 'PUT', headers, body: new Uint8Array(manifest) });
  await expectStatus('manifest', 201, await put);
  return { manifest, config };
}

/** An image of one layer of random bytes. */
export async function pushImage(
  url: string,
  repository: string,
  tag: string,
  layerBytes: number,
): Promise<PushedImage> {
  const layer = randomBytes(layerBytes);
  return { ...(await putImage(url, repository, tag, [layer])), layer };
}
