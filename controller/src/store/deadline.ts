// A server that froze, or a network that swallows packets, leaves a call without any answer; the driver would wait for as long as TCP
// does, which is a quarter of an hour. Here the call ends in time, and the connections that kept silent are not used again.

import { MinerError } from '../domain/errors.ts';

export interface CallLimit {
  /** Milliseconds a call may take. */
  ms: number;
  /** Called when a call starts; what it returns drops the connections of that moment, and those alone. */
  start(): () => void;
}

/** The result of `call`, or E-STORE when there is none in time. */
export async function within<T>(limit: CallLimit | undefined, call: () => Promise<T>): Promise<T> {
  if (!limit) return call();
  const drop = limit.start();
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new MinerError('E-STORE', `the database did not answer within ${limit.ms / 1000} s`));
      drop();
    }, limit.ms);
  });
  try {
    return await Promise.race([call(), silence]);
  } finally {
    clearTimeout(timer);
  }
}
