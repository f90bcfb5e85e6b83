// Sends a report to a validator (protocol.md 6.5). The bytes given are the ones that are signed and sent.

import type { Clock } from '../domain/clock.ts';
import { MinerError, messageOf } from '../domain/errors.ts';
import { validatorHeaders } from '../signing/sign.ts';
import type { Signer } from '../signing/sr25519.ts';

export interface Uploader {
  readonly url: string;
  /**
   * `block`: where its hash was committed, if it was. Resolves to what the validator answered. Rejects with E-VALIDATOR, whose detail has
   * the `status`, or E-VALIDATOR-UNREACHABLE.
   */
  upload(body: Buffer, block: number | undefined): Promise<unknown>;
}

export interface UploaderOptions {
  /** Base URL of the validator. */
  api: string;
  signer: Signer;
  clock: Pick<Clock, 'now'>;
  /** Wall-clock ms. Default 60 s. */
  timeoutMs?: number;
}

/** Of an answer, the part worth keeping. */
const answerLength = 4_000;

function readAnswer(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text.slice(0, answerLength);
  }
}

/** Whether the same upload may be taken later. */
export function maySucceedLater(error: unknown): boolean {
  if (!(error instanceof MinerError)) return false;
  if (error.code === 'E-VALIDATOR-UNREACHABLE') return true;
  const status = Number(error.detail?.status);
  return error.code === 'E-VALIDATOR' && (status >= 500 || status === 429 || status === 408);
}

export function createUploader({ api, signer, clock, timeoutMs = 60_000 }: UploaderOptions): Uploader {
  const url = `${api.replace(/\/+$/, '')}/audit/miner_data`;

  async function upload(body: Buffer, block: number | undefined): Promise<unknown> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(url, {
        method: 'POST',
        // The nonce grows old: every attempt is signed anew.
        headers: {
          ...validatorHeaders(signer, { body }, clock),
          'Content-Type': 'application/json',
          // Validators demand a number; there is nothing of ours in block 0.
          'X-Chutes-Block': String(block ?? 0),
        },
        body: Uint8Array.from(body),
        redirect: 'manual',
        signal: AbortSignal.timeout(timeoutMs),
      });
      text = await response.text();
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new MinerError('E-VALIDATOR-UNREACHABLE', `${url} is unreachable: ${messageOf(cause)}`, { cause: error });
    }
    if (!response.ok) {
      const said = text.replace(/\s+/g, ' ').trim().slice(0, 300);
      const detail = { status: response.status };
      throw new MinerError('E-VALIDATOR', `${url} answered ${response.status}: ${said}`, { detail });
    }
    return readAnswer(text);
  }

  return { url, upload };
}
