// Shortens the history of `live`: what is older than an age becomes one commit under a tag, the newer commits are made again on top of
// it with the trees, authors and messages they had. The branch moves by compare-and-swap; what was committed meanwhile comes along.

import { MinerError } from '../domain/errors.ts';
import { type Author, type CommitParts, committedAt, signatureLine } from './commitobject.ts';
import type { NewObject } from './objects.ts';
import type { Repository } from './repository.ts';

export interface Squashed {
  /** Older commits that were found here and are one commit now. */
  archived: number;
  /** `live-archive-<date of the newest of them>`. */
  tag: string;
  /** New head of `live`. */
  commit: string;
}

export interface SquashOptions {
  repository: Repository;
  author: Author;
  /** Fetches the history that is not here. */
  deepen?: (() => Promise<void>) | undefined;
}

const attempts = 5;

interface Line {
  /** The newest commit that is old enough; undefined when there is none. */
  oldest: string | undefined;
  /** Newer ones, newest first. */
  newer: { oid: string; parts: CommitParts }[];
  /** History goes on further back than what is here. */
  cut: boolean;
}

/** First parents, back to the first commit that is old enough or `known`. */
async function lineOf(repository: Repository, before: number, known: ReadonlyMap<string, string>): Promise<Line> {
  const newer: Line['newer'] = [];
  let oid: string | undefined = await repository.head('live');
  for (;;) {
    if (known.has(oid)) return { oldest: oid, newer, cut: false };
    const parts = await repository.commitAt(oid);
    if (committedAt(parts) < before) return { oldest: oid, newer, cut: false };
    newer.push({ oid, parts });
    const parent = await repository.parentOf(oid);
    if (parent === undefined) return { oldest: undefined, newer, cut: parts.parents.length > 0 };
    oid = parent;
  }
}

async function countFrom(repository: Repository, commit: string): Promise<number> {
  let count = 0;
  for (let oid: string | undefined = commit; oid !== undefined; oid = await repository.parentOf(oid)) count++;
  return count;
}

/** `before` in ms since the Unix epoch. Undefined when there is nothing to shorten. Rejects like a commit. */
export async function squashLive(options: SquashOptions, before: number): Promise<Squashed | undefined> {
  const { repository, author, deepen } = options;
  const remade = new Map<string, string>();
  const made: NewObject[] = [];
  let archive: { commit: string; tag: string; archived: number } | undefined;

  async function startArchive(oldest: string): Promise<boolean> {
    const { tree, parents, ...parts } = await repository.commitAt(oldest);
    if (parents.length === 0) return false;
    const at = committedAt({ tree, parents, ...parts });
    const who = signatureLine(author, at);
    const message = `Archive what was before ${new Date(at).toISOString()}\n\nThe newest commit of it was ${oldest}.\n`;
    const commit = await repository.makeCommit({ tree, parents: [], author: who, committer: who, message });
    made.push(commit);
    remade.set(oldest, commit.oid);
    const tag = `live-archive-${new Date(at).toISOString().slice(0, 10)}`;
    archive = { commit: commit.oid, tag, archived: await countFrom(repository, oldest) };
    return true;
  }

  for (let attempt = 1; ; attempt++) {
    const head = await repository.head('live');
    const line = await lineOf(repository, before, remade);
    if (line.oldest === undefined) {
      if (!line.cut || !deepen || attempt > 1) return undefined;
      await deepen();
      continue;
    }
    if (!archive && !(await startArchive(line.oldest))) return undefined;
    let top = remade.get(line.oldest);
    if (!archive || top === undefined) return undefined;
    for (const { oid, parts } of line.newer.reverse()) {
      const commit = await repository.makeCommit({ ...parts, parents: [top] });
      made.push(commit);
      remade.set(oid, commit.oid);
      top = commit.oid;
    }
    const next = top;
    const tag = { name: archive.tag, commit: archive.commit };
    try {
      await repository.alone(() => repository.publish(made, { branch: 'live', expected: head, next, tag }));
      return { archived: archive.archived, tag: archive.tag, commit: next };
    } catch (error) {
      const again = error instanceof MinerError && error.code === 'E-GIT-CONFLICT' && attempt < attempts;
      if (!again) throw error;
    }
  }
}
