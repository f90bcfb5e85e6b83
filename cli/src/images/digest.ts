// Asks a registry what a tag stands for now (OCI distribution API v2): anonymous, or with a login of ~/.docker/config.json; Basic or token
// authentication, as the registry asks for. Nothing is pulled.

import { createHash } from 'node:crypto';
import { CliError } from '../errors.ts';

/** By host as `docker login` writes it: `user:password` in Base64. */
export type Logins = ReadonlyMap<string, string>;

export interface DigestOptions {
  logins?: Logins;
  signal: AbortSignal;
  /** Of each request, ms. Default: 20 s. */
  timeoutMs?: number;
}

interface Place {
  host: string;
  url: string;
  repository: string;
  tag: string;
}

const hub = 'docker.io';
/** A list for several machines first: its digest is right on each of them. */
const accepted = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');
const longestManifest = 4 * 1024 * 1024;

/** As container engines read it: what has no dot or port in front is on Docker Hub; registries on this machine speak plain HTTP. */
export function placeOf(image: string): Place {
  const [name = ''] = image.split('@');
  const [first = '', ...rest] = name.split('/');
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost');
  const host = hasHost ? first : hub;
  const path = hasHost ? rest.join('/') : name;
  const colon = path.lastIndexOf(':');
  const [repository, tag] = [path.slice(0, colon), path.slice(colon + 1)];
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+)(:|$)/.test(host);
  const url = host === hub ? 'https://registry-1.docker.io' : `${isLocal ? 'http' : 'https'}://${host}`;
  return {
    host,
    url,
    repository: host === hub && !repository.includes('/') ? `library/${repository}` : repository,
    tag,
  };
}

function failure(place: Place, what: string, cause?: unknown): CliError {
  const image = `${place.host}/${place.repository}:${place.tag}`;
  return new CliError('E-IMAGE', `${image}: ${what}`, { outcome: 'unreachable', cause });
}

/** Fields of `Bearer realm="…",service="…",scope="…"`. */
function challengeOf(header: string): { scheme: string; fields: Map<string, string> } {
  const scheme = /^\w+/.exec(header)?.[0].toLowerCase() ?? '';
  const fields = [...header.matchAll(/(\w+)="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value] as const);
  return { scheme, fields: new Map(fields) };
}

/** Registries may keep a login under their address in several ways; Docker Hub has one of its own. */
function loginFor({ host }: Place, logins: Logins | undefined): string | undefined {
  const names = host === hub ? ['https://index.docker.io/v1/', hub] : [host, `https://${host}`];
  return names.map((name) => logins?.get(name)).find((login) => login !== undefined);
}

/** Resolves with `sha256:…` of the manifest; rejects with E-IMAGE when the registry does not answer, refuses or does not know the tag. */
export async function digestNow(image: string, options: DigestOptions): Promise<string> {
  const place = placeOf(image);
  const login = loginFor(place, options.logins);

  async function get(url: string, headers: Record<string, string>): Promise<Response> {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs ?? 20_000)]);
    try {
      return await fetch(url, { headers, signal });
    } catch (error) {
      if (options.signal.aborted) throw error;
      const { host } = new URL(url);
      throw failure(place, `${host} does not answer`, error);
    }
  }

  async function authorization(header: string): Promise<string> {
    const { scheme, fields } = challengeOf(header);
    if (scheme === 'basic' && login) return `Basic ${login}`;
    const realm = fields.get('realm') ?? '';
    // A login goes nowhere in the clear, except on this machine.
    const isSafe = realm.startsWith('https://') || place.url.startsWith('http://');
    if (scheme !== 'bearer' || !URL.canParse(realm) || !isSafe) throw failure(place, 'the registry asks for a login');
    const url = new URL(realm);
    const service = fields.get('service');
    if (service) url.searchParams.set('service', service);
    url.searchParams.set('scope', fields.get('scope') ?? `repository:${place.repository}:pull`);
    const answer = await get(url.href, login ? { authorization: `Basic ${login}` } : {});
    const said = answer.ok ? ((await answer.json().catch(() => ({}))) as Record<string, unknown>) : {};
    const token = said.token ?? said.access_token;
    if (typeof token !== 'string') throw failure(place, `${url.host} gives no token: HTTP ${answer.status}`);
    return `Bearer ${token}`;
  }

  const url = `${place.url}/v2/${place.repository}/manifests/${place.tag}`;
  let answer = await get(url, { accept: accepted });
  if (answer.status === 401) {
    const header = answer.headers.get('www-authenticate') ?? '';
    answer = await get(url, { accept: accepted, authorization: await authorization(header) });
  }
  if (answer.status === 404) throw failure(place, 'the registry does not know it');
  if (!answer.ok) throw failure(place, `HTTP ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length > longestManifest) throw failure(place, `a manifest of ${bytes.length} bytes`);
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const told = answer.headers.get('docker-content-digest') ?? digest;
  if (told !== digest) throw failure(place, `the registry says ${told}, its manifest is ${digest}`);
  return digest;
}
