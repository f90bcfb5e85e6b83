// A process that dies at a chosen moment: from that call on no port does anything, and nobody ever hears of it again.

import type { NodeDeps } from '../deps.ts';

export interface Mortal {
  deps: NodeDeps;
  /** Calls so far that a process waits for. */
  calls(): number;
  /** Resolves at its death. */
  died: Promise<void>;
}

type Call = (...given: unknown[]) => unknown;

/** Dies at call number `at` (from 1), right before or right after it had its effect. */
export function mortal(deps: NodeDeps, at: number, effect: boolean): Mortal {
  const { promise: died, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  let dead = false;
  const never = () => new Promise<never>(() => undefined);

  function wrap<T extends object>(port: T): T {
    return new Proxy(port, {
      get(target, name, receiver) {
        const value: unknown = Reflect.get(target, name, receiver);
        if (typeof value !== 'function' || name === 'observe' || name === 'config') return value;
        return async (...given: unknown[]) => {
          if (dead) return never();
          calls += 1;
          const last = calls === at;
          if (last && !effect) {
            dead = true;
            resolve();
            return never();
          }
          const outcome = await Reflect.apply(value as Call, target, given);
          if (!last) return dead ? never() : outcome;
          dead = true;
          resolve();
          return never();
        };
      },
    });
  }

  const { validator } = deps;
  return {
    calls: () => calls,
    died,
    deps: {
      ...deps,
      members: wrap(deps.members),
      store: wrap(deps.store),
      repo: wrap(deps.repo),
      validator(hotkey) {
        const client = validator(hotkey);
        return client && wrap(client);
      },
    },
  };
}
