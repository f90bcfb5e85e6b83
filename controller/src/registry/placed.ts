// Which images this node may pull: those of chute pods that are on it and not finished. What is known stays until it is replaced.

import { z } from 'zod';
import { imageKey, placedKey } from './names.ts';

export interface PlacedImages {
  /** `validator`: hotkey in lower case, as in the image's host; `repository`: `<user>/<image>`. */
  allows(validator: string, repository: string): boolean;
  /** Called after each change of the list. Returns the way to stop. */
  onChange(listener: () => void): () => void;
}

export interface PlacedPods extends PlacedImages {
  /** One pod as the API reports it; a finished one takes its images away. */
  put(pod: unknown): void;
  remove(pod: unknown): void;
  /** The complete list: whatever is not in it is gone. */
  replace(pods: readonly unknown[]): void;
  /** Number of repositories. */
  size(): number;
}

const named = z.object({ metadata: z.object({ name: z.string().min(1) }) });
const containers = z.array(z.object({ image: z.string().nullish() })).nullish();
const podSchema = named.extend({
  spec: z.object({ containers, initContainers: containers }),
  status: z.object({ phase: z.string().nullish() }).nullish(),
});

const finished = new Set(['Succeeded', 'Failed']);

function keysOf(pod: unknown): string[] {
  const read = podSchema.safeParse(pod).data;
  if (!read || finished.has(read.status?.phase ?? '')) return [];
  const { initContainers, containers: main } = read.spec;
  return [...(initContainers ?? []), ...(main ?? [])].flatMap(({ image }) => imageKey(image ?? '') ?? []);
}

export function createPlacedPods(): PlacedPods {
  let pods = new Map<string, string[]>();
  let allowed = new Set<string>();
  const listeners = new Set<() => void>();

  function settle(): void {
    const next = new Set([...pods.values()].flat());
    if (next.size === allowed.size && [...next].every((key) => allowed.has(key))) return;
    allowed = next;
    for (const listener of [...listeners]) listener();
  }

  function nameOf(pod: unknown): string | undefined {
    return named.safeParse(pod).data?.metadata.name;
  }

  return {
    allows: (validator, repository) => allowed.has(placedKey(validator, repository)),
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    put(pod) {
      const name = nameOf(pod);
      if (name === undefined) return;
      pods.set(name, keysOf(pod));
      settle();
    },
    remove(pod) {
      const name = nameOf(pod);
      if (name !== undefined && pods.delete(name)) settle();
    },
    replace(list) {
      pods = new Map(
        list.flatMap((pod) => {
          const name = nameOf(pod);
          return name === undefined ? [] : [[name, keysOf(pod)]];
        }),
      );
      settle();
    },
    size: () => allowed.size,
  };
}
