// A push in one HTTP request, without a git process: the compare-and-swap of one ref with the objects that are new
// (git's protocol "receive-pack" over smart HTTP). Whatever is not plain success or refusal is left to git.

import { readFile } from 'node:fs/promises';
import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { rootCertificates } from 'node:tls';
import { encodeLine, flushLine, readLines } from './pktline.ts';
import type { PushOutcome } from './remote.ts';

export interface HttpPush {
  /** Full name of a branch, `refs/heads/…`. */
  ref: string;
  commit: string;
  /** Where it must be at; undefined for nowhere. */
  expected: string | undefined;
  /** A pack with all objects that the host does not have. */
  pack: Buffer;
}

export interface HttpPushOptions {
  /** `http://` or `https://`. */
  url: string;
  credentialFile?: string | undefined;
  timeoutMs: number;
}

/** Undefined: the host did not say what became of it; another push of the same is harmless and tells. */
export type PushByHttp = (push: HttpPush) => Promise<PushOutcome | undefined>;

const nowhere = '0'.repeat(40);
const longestAnswer = 1024 * 1024;

async function authorizationOf(credentialFile: string | undefined): Promise<string | undefined> {
  if (credentialFile === undefined) return undefined;
  const [line = ''] = (await readFile(credentialFile, 'utf8').catch(() => '')).split('\n');
  return line === '' ? undefined : `Basic ${Buffer.from(line.trim()).toString('base64')}`;
}

/** The authorities that git is told of count here too. */
async function authorities(): Promise<string[] | undefined> {
  const file = process.env.GIT_SSL_CAINFO ?? process.env.SSL_CERT_FILE;
  const own = file && (await readFile(file, 'utf8').catch(() => undefined));
  return own ? [...rootCertificates, own] : undefined;
}

async function agentFor(url: string): Promise<HttpAgent> {
  const options = { keepAlive: true, proxyEnv: process.env };
  if (url.startsWith('http:')) return new HttpAgent(options);
  const ca = await authorities();
  return new HttpsAgent({ ...options, ...(ca && { ca }) });
}

async function bodyOf(response: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += (chunk as Buffer).length;
    if (length > longestAnswer) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}

/** What a report of git's protocol says of one ref; undefined when it says nothing that can be relied on. */
export function outcomeOfReport(
  body: Buffer,
  ref: string,
): { kind: 'moved' } | { kind: 'refused'; reason: string } | undefined {
  const lines = readLines(body);
  // When the objects could not be taken in, git may know which of them the host wants.
  if (lines?.[0] !== 'unpack ok') return undefined;
  if (lines.includes(`ok ${ref}`)) return { kind: 'moved' };
  const refusal = lines.find((line) => line.startsWith(`ng ${ref} `));
  return refusal === undefined ? undefined : { kind: 'refused', reason: refusal.slice(`ng ${ref} `.length) };
}

export function openHttpPush(
  { url, credentialFile, timeoutMs }: HttpPushOptions,
  isRaced: (why: string) => boolean,
): PushByHttp {
  const service = new URL(`${url.replace(/\/+$/, '')}/git-receive-pack`);
  let agent: Promise<HttpAgent> | undefined;

  async function send(body: Buffer): Promise<IncomingMessage> {
    agent ??= agentFor(url);
    const [using, authorization] = [await agent, await authorizationOf(credentialFile)];
    const headers = {
      'Content-Type': 'application/x-git-receive-pack-request',
      Accept: 'application/x-git-receive-pack-result',
      'User-Agent': 'git/chutes-miner',
      'Content-Length': body.length,
      ...(authorization && { Authorization: authorization }),
    };
    const start = url.startsWith('http:') ? requestHttp : requestHttps;
    return new Promise((resolve, reject) => {
      const signal = AbortSignal.timeout(timeoutMs);
      const request = start(service, { method: 'POST', agent: using, headers, signal });
      request.once('response', resolve).once('error', reject).end(body);
    });
  }

  return async ({ ref, commit, expected, pack }) => {
    const command = encodeLine(`${expected ?? nowhere} ${commit} ${ref}\0 report-status`);
    try {
      const response = await send(Buffer.concat([command, flushLine, pack]));
      const body = await bodyOf(response);
      const isReport = response.headers['content-type'] === 'application/x-git-receive-pack-result';
      if (response.statusCode !== 200 || !isReport || !body) return undefined;
      const outcome = outcomeOfReport(body, ref);
      return outcome?.kind === 'refused' ? { ...outcome, raced: isRaced(outcome.reason) } : outcome;
    } catch (error) {
      const timedOut = error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError');
      return timedOut ? { kind: 'unknown', reason: `git remote ${url}: no answer in time`, timedOut } : undefined;
    }
  };
}
