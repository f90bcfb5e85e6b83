// Asks the agent of a GPU server for the kubeconfig of its cluster. The answer is a credential: no message repeats any of it.

import { parse } from 'yaml';
import { z } from 'zod';
import { type Clock, systemClock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { managementHeaders } from '../signing/sign.ts';
import type { Signer } from '../signing/sr25519.ts';

export type Fetch = typeof globalThis.fetch;

export interface AgentOptions {
  /** Time of the signature; real time by default. */
  clock?: Pick<Clock, 'now'>;
  fetch?: Fetch | undefined;
  /** Wall-clock ms. Default 10 s. */
  timeoutMs?: number;
}

const answer = z.object({ kubeconfig: z.string().min(1) });
const kubeconfigShape = z.object({ contexts: z.array(z.object({ name: z.string() })) });

/** Why a fetch failed: the innermost cause, such as `connect ECONNREFUSED …`. */
export function reasonOf(error: unknown): string {
  let inner = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  return messageOf(inner);
}

/**
 * The kubeconfig (YAML text) of the server behind `agentApi`, signed with purpose `registration` (protocol.md 4.3). Rejects with
 * E-AGENT-UNREACHABLE when the agent is silent, refuses, or answers something else.
 */
export async function fetchKubeconfig(agentApi: string, signer: Signer, options: AgentOptions = {}): Promise<string> {
  const { clock = systemClock, fetch = globalThis.fetch, timeoutMs = 10_000 } = options;
  const url = `${agentApi.replace(/\/+$/, '')}/config/kubeconfig`;
  function fail(problem: string, cause?: unknown): MinerError {
    return new MinerError('E-AGENT-UNREACHABLE', `agent ${agentApi} ${problem}`, { cause });
  }
  let status: number;
  let text: string;
  try {
    const headers = managementHeaders(signer, { purpose: 'registration' }, clock);
    const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(timeoutMs) });
    status = response.status;
    text = await response.text();
  } catch (error) {
    throw fail(`cannot be reached: ${reasonOf(error)}`, error);
  }
  if (status !== 200) throw fail(`answered ${status} when asked for its kubeconfig`);
  try {
    return answer.parse(JSON.parse(text)).kubeconfig;
  } catch {
    throw fail('gave an answer without a kubeconfig');
  }
}

/** Names of the contexts of a kubeconfig. Throws E-AGENT-UNREACHABLE if the text is none. */
export function contextNames(kubeconfig: string): string[] {
  try {
    return kubeconfigShape.parse(parse(kubeconfig)).contexts.map(({ name }) => name);
  } catch {
    // The parser's message quotes the text.
    throw new MinerError('E-AGENT-UNREACHABLE', 'the agent gave a kubeconfig that cannot be read');
  }
}
