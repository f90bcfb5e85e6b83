// The token that a validator has its bootstrap fetch (graval.md 4.1). The URL comes from outside, so it must lead to a validator's own API:
// nothing inside the cluster can be reached through it.

import { messageOf } from '@miner/controller/domain/errors.ts';
import { z } from 'zod';
import { refusal } from './problem.ts';

const timeoutMs = 10_000;
const maxBytes = 64 * 1024;
const answer = z.object({ token: z.string().min(1) });

async function readLimited(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    if (size > maxBytes) throw refusal('BAD_GATEWAY', `the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** `origins` such as `https://api.chutes.ai`. Rejects with FORBIDDEN for any other, with BAD_GATEWAY when there is no token. */
export async function fetchToken(url: string, origins: ReadonlySet<string>, signal: AbortSignal): Promise<string> {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !origins.has(parsed.origin) || parsed.username !== '' || parsed.password !== '')
    throw refusal('FORBIDDEN', 'token_url does not lead to the API of a validator of this server');
  let text: string;
  try {
    // A redirect would lead past the check.
    const response = await fetch(parsed, {
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    if (!response.ok) throw refusal('BAD_GATEWAY', `the validator answered with ${response.status}`);
    text = await readLimited(response);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'BAD_GATEWAY') throw error;
    throw refusal('BAD_GATEWAY', `the validator did not answer: ${messageOf(error)}`);
  }
  try {
    return answer.parse(JSON.parse(text)).token;
  } catch {
    throw refusal('BAD_GATEWAY', 'the validator gave no token');
  }
}
