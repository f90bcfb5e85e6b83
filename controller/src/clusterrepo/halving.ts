// A batch whose push took too long, in smaller parts one after the other. What landed is told; nothing lands twice, because every part
// is a compare-and-swap on the one before it.

import type { Decision } from '../domain/decision.ts';
import { MinerError } from '../domain/errors.ts';
import type { CommittedTree, LiveBatch, LiveTree } from '../domain/ports.ts';

export interface HalvingOptions {
  commit(batch: LiveBatch): Promise<LiveTree>;
  /** `live` when it carries these decisions already: a push that was given up may arrive late. */
  carries(decisions: readonly Decision[]): Promise<LiveTree | undefined>;
}

const deepest = 4;

function tookTooLong(error: unknown): boolean {
  return error instanceof MinerError && error.code === 'E-GIT-REPOSITORY' && error.detail?.timedOut === true;
}

interface Part {
  decisions: readonly Decision[];
  depth: number;
}

function halves({ decisions, depth }: Part): Part[] {
  const middle = Math.ceil(decisions.length / 2);
  return [decisions.slice(0, middle), decisions.slice(middle)].map((half) => ({ decisions: half, depth: depth + 1 }));
}

/** A GPU is given away only after what held it is gone, also when only a part lands. */
function removalsFirst(decisions: readonly Decision[]): Decision[] {
  const kinds = Object.groupBy(decisions, ({ kind }) => kind);
  return [...(kinds.remove ?? []), ...(kinds.deploy ?? [])];
}

/** Rejects like `commit` when nothing landed. */
export async function commitInParts(batch: LiveBatch, { commit, carries }: HalvingOptions): Promise<CommittedTree> {
  const landed: Decision[] = [];
  const earlier = new Map<Decision, string>();
  let tree: LiveTree | undefined;
  let parts: Part[] = [{ decisions: batch.decisions, depth: 0 }];
  for (let part = parts.shift(); part; part = parts.shift()) {
    const { decisions, depth } = part;
    try {
      tree = await commit({ ...batch, decisions, base: tree?.commit ?? batch.base });
      if (depth === 0) return tree;
      landed.push(...decisions);
      for (const decision of decisions) earlier.set(decision, tree.commit);
    } catch (error) {
      const rest = [part, ...parts].flatMap((open) => open.decisions);
      const late = depth > 0 ? await carries(rest).catch(() => undefined) : undefined;
      if (late) return { ...late, earlier };
      if (tookTooLong(error) && decisions.length > 1 && depth < deepest) {
        parts = [...halves({ decisions: depth === 0 ? removalsFirst(decisions) : decisions, depth }), ...parts];
        continue;
      }
      if (!tree) throw error;
      return { ...tree, landed, earlier, failure: error };
    }
  }
  return tree ? { ...tree, earlier } : commit(batch);
}
