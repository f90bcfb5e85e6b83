// The signature of registry pulls: it does not depend on the image, so one is used for a second, and the next is made after the answer to
// the request that found it old.

import type { Clock } from '../domain/clock.ts';
import { validatorHeaders } from '../signing/sign.ts';
import type { Signer } from '../signing/sr25519.ts';

export interface StampsOptions {
  signer: Signer;
  clock: Pick<Clock, 'now'>;
  /** Runs a task soon, but not now. */
  defer?: (task: () => void) => void;
}

export interface Stamps {
  /** Header names and values by turns; the same array for as long as the signature is used. */
  current(): readonly string[];
}

/** Validators accept a nonce for 600 s (protocol.md 1.4); one older than this is replaced before it is handed out. */
const oldestSeconds = 10;

export function createStamps({ signer, clock, defer = setImmediate }: StampsOptions): Stamps {
  let second = Number.NaN;
  let headers: readonly string[] = [];
  let renewing = false;

  function renew(): void {
    renewing = false;
    second = Math.floor(clock.now() / 1000);
    headers = Object.entries(validatorHeaders(signer, { purpose: 'registry' }, clock)).flat();
  }

  return {
    current() {
      const age = Math.floor(clock.now() / 1000) - second;
      // Also when the clock was set back: a nonce from the future is nothing to hand out.
      if (!(age >= 0 && age <= oldestSeconds)) renew();
      else if (age > 0 && !renewing) {
        renewing = true;
        defer(renew);
      }
      return headers;
    },
  };
}
