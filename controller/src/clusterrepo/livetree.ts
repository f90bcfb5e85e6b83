// The deployments on branch `live` as they are in git. Kept by object id: after a change only the folders and files that differ are
// read, and a file that cannot be read is reported once and hides nothing else.

import type { DeploymentSpec } from '../domain/deployment.ts';
import { type ParsedManifest, parseManifest } from './manifest.ts';
import type { Repository } from './repository.ts';
import { fileOid, folderOid, type TreeEntries } from './trees.ts';

export interface LiveState {
  commit: string;
  /** By path; everything below `chutes/<server>/`. */
  files: ReadonlyMap<string, ParsedManifest>;
  /** Of the files that can be read, by deployment id. */
  deployments: ReadonlyMap<string, DeploymentSpec>;
}

export type OnBadFile = (path: string, problem: string) => void;

const parallelReads = 16;

interface Wanted {
  path: string;
  oid: string;
}

function deploymentsOf(files: ReadonlyMap<string, ParsedManifest>): Map<string, DeploymentSpec> {
  const deployments = new Map<string, DeploymentSpec>();
  for (const { content } of files.values()) {
    if (content) deployments.set(content.spec.deploymentId, content.spec);
  }
  return deployments;
}

export function openLiveTree(repository: Repository, onBadFile: OnBadFile | undefined) {
  let state: LiveState | undefined;
  const { objects } = repository;

  function report(manifest: ParsedManifest): ParsedManifest {
    if (manifest.findings.length > 0)
      onBadFile?.(manifest.path, manifest.findings.map(({ message }) => message).join('; '));
    return manifest;
  }

  async function parseAll(wanted: readonly Wanted[]): Promise<ParsedManifest[]> {
    const parsed: ParsedManifest[] = [];
    const queue = [...wanted];
    async function work(): Promise<void> {
      for (let next = queue.pop(); next; next = queue.pop()) {
        const text = (await objects.read(next.oid, 'blob')).toString();
        parsed.push(report(parseManifest(text, next.path, next.oid)));
      }
    }
    await Promise.all(Array.from({ length: parallelReads }, work));
    return parsed;
  }

  function unexpected(path: string, oid: string): ParsedManifest {
    const findings = [{ code: 'unreadable' as const, message: 'only files belong here' }];
    return { path, oid, server: path.split('/')[1] ?? '', content: undefined, findings };
  }

  /** Files of one folder: those known already go into `files`, the others come back. */
  function sortFolder(
    server: string,
    entries: TreeEntries,
    known: ReadonlyMap<string, ParsedManifest>,
    files: Map<string, ParsedManifest>,
  ): Wanted[] {
    const missing: Wanted[] = [];
    for (const [name, entry] of entries) {
      const path = `chutes/${server}/${name}`;
      const same = known.get(path);
      if (same?.oid === entry.oid) files.set(path, same);
      else if (fileOid(entry)) missing.push({ path, oid: entry.oid });
      else files.set(path, report(unexpected(path, entry.oid)));
    }
    return missing;
  }

  /** `known`: files that need not be read again if they are still the same. */
  async function load(commit: string, known: ReadonlyMap<string, ParsedManifest>): Promise<LiveState> {
    const files = new Map<string, ParsedManifest>();
    const missing: Wanted[] = [];
    for (const [server, entry] of await repository.folder(commit, 'chutes')) {
      const folder = folderOid(entry);
      if (!folder) continue;
      missing.push(...sortFolder(server, await objects.readTree(folder), known, files));
    }
    for (const manifest of await parseAll(missing)) files.set(manifest.path, manifest);
    return { commit, files, deployments: deploymentsOf(files) };
  }

  return {
    /** State at a commit of `live`. */
    async at(commit: string): Promise<LiveState> {
      if (state?.commit !== commit) state = await load(commit, state?.files ?? new Map());
      return state;
    },
    /** Go on from a commit made here, whose files are known. */
    adopt(commit: string, files: ReadonlyMap<string, ParsedManifest>): LiveState {
      state = { commit, files, deployments: deploymentsOf(files) };
      return state;
    },
  };
}
