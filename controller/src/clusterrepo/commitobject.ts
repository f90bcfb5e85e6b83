// Commit objects as bytes: made, signed, and taken apart again.

import { MinerError } from '../domain/errors.ts';
import type { Sign } from './signature.ts';

export interface Author {
  name: string;
  email: string;
}

export interface CommitParts {
  tree: string;
  parents: readonly string[];
  /** `Name <address> seconds zone`. */
  author: string;
  committer: string;
  message: string;
}

export function signatureLine(author: Author, at: number): string {
  const clean = (text: string) => text.replace(/[<>\p{C}]/gu, '').trim();
  return `${clean(author.name)} <${clean(author.email)}> ${Math.floor(at / 1000)} +0000`;
}

export async function encodeCommit(parts: CommitParts, sign?: Sign): Promise<Buffer> {
  const { tree, parents, author, committer, message } = parts;
  const head = [
    `tree ${tree}`,
    ...parents.map((parent) => `parent ${parent}`),
    `author ${author}`,
    `committer ${committer}`,
  ];
  const text = message.replaceAll('\0', '');
  const plain = Buffer.from(`${head.join('\n')}\n\n${text}`);
  if (!sign) return plain;
  // A line that goes on begins with a space.
  const signature = `gpgsig ${(await sign(plain)).trimEnd().replaceAll('\n', '\n ')}`;
  return Buffer.from(`${[...head, signature].join('\n')}\n\n${text}`);
}

/** Throws E-GIT-REPOSITORY when the bytes are no commit. */
export function decodeCommit(oid: string, content: Buffer): CommitParts {
  const text = content.toString();
  const end = text.indexOf('\n\n');
  const lines = (end < 0 ? text : text.slice(0, end)).split('\n');
  const valuesOf = (name: string) =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));
  const [[tree], parents, [author], [committer]] = [
    valuesOf('tree'),
    valuesOf('parent'),
    valuesOf('author'),
    valuesOf('committer'),
  ];
  if (!tree || !/^[0-9a-f]{40}$/.test(tree) || author === undefined || committer === undefined)
    throw new MinerError('E-GIT-REPOSITORY', `commit ${oid} names no tree`, { detail: { commit: oid } });
  return { tree, parents, author, committer, message: end < 0 ? '' : text.slice(end + 2) };
}

/** ms since the Unix epoch. */
export function committedAt({ committer }: CommitParts): number {
  return Number(/> (\d+) [+-]\d{4}$/.exec(committer)?.[1] ?? 0) * 1000;
}
