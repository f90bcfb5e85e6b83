// What on `live` follows from `main` is rendered again when `main` or the renderer has changed; only files that differ are committed. The
// file of a deployment may change in the labels and annotations of its objects alone: another Job would replace a running instance.

import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../domain/clock.ts';
import { configFor } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import type { MainTree, Rerendered, TreeRenderer } from '../domain/ports.ts';
import { findLeaks } from './leaks.ts';
import type { LiveOptions } from './livebranch.ts';
import { parseManifest } from './manifest.ts';
import { kindOf } from './misfits.ts';
import { makeObject, type NewObject } from './objects.ts';
import type { Repository } from './repository.ts';
import { fileOid, folderOid } from './trees.ts';
import { readYaml } from './yamlread.ts';

export interface RerenderOptions extends Pick<LiveOptions, 'render' | 'lookup'> {
  /** Files that are no deployments; none by default. */
  renderTree?: TreeRenderer | undefined;
  clock: Pick<Clock, 'now'>;
}

const attempts = 5;
/** Files rendered before others get a turn. */
const atOnce = 16;
const namedPaths = 50;
const chutesFolder = 'chutes';

interface Changes {
  changes: Map<string, string | undefined>;
  blobs: NewObject[];
  kept: number;
}

function withoutLooseMetadata(document: unknown): unknown {
  if (typeof document !== 'object' || document === null || !('metadata' in document)) return document;
  const { metadata } = document;
  if (typeof metadata !== 'object' || metadata === null) return document;
  return { ...document, metadata: { ...metadata, labels: undefined, annotations: undefined } };
}

/** Whether two texts of one deployment differ in nothing but the labels and annotations of its objects themselves. */
export function differsInMetadataOnly(before: string, after: string, path: string): boolean {
  const [old, next] = [before, after].map((text) => parseManifest(text, path, ''));
  if (!old?.content || !next?.content || next.findings.length > 0) return false;
  if (!isDeepStrictEqual(old.content.spec, next.content.spec)) return false;
  const [left, right] = [before, after].map((text) => readYaml(text).documents.map(withoutLooseMetadata));
  return isDeepStrictEqual(left, right);
}

interface Rendered {
  /** Blob of each path. */
  files: Map<string, string>;
  blobs: Map<string, NewObject>;
}

function refusal(path: string, what: string): MinerError {
  return new MinerError('E-GUARD', `nothing is rendered: ${path} ${what}`, { detail: { path } });
}

function demandInside(path: string, folders: readonly string[]): void {
  const parts = path.split('/');
  const isInside =
    parts.length > 1 && folders.includes(parts[0] ?? '') && !parts.some((part) => /^\.{0,2}$|^\.git$/i.test(part));
  if (!isInside) throw refusal(path, `is not below ${folders.join(', ')}`);
}

function demandHarmless(path: string, text: string): void {
  const { documents, literal } = readYaml(text);
  if (documents.some((document) => kindOf(document) === 'Secret')) throw refusal(path, 'holds a Secret');
  const [leak] = findLeaks(text, documents, literal);
  if (leak !== undefined) throw refusal(path, leak);
}

/** Servers with the same values have the same texts: each is looked at once. E-GUARD for a file that may not be on `live`. */
async function checked(texts: ReadonlyMap<string, string>, folders: readonly string[]): Promise<Rendered> {
  const [manifests, others] = [new Map<string, string>(), new Map<string, string>()];
  const rendered: Rendered = { files: new Map(), blobs: new Map() };
  for (const [path, text] of texts) {
    demandInside(path, folders);
    const isManifest = /\.ya?ml$/.test(path);
    const known = isManifest ? manifests : others;
    let oid = known.get(text);
    if (oid === undefined) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isManifest) demandHarmless(path, text);
      const blob = makeObject('blob', Buffer.from(text));
      oid = blob.oid;
      known.set(text, oid);
      rendered.blobs.set(oid, blob);
    }
    rendered.files.set(path, oid);
  }
  return rendered;
}

function messageOf({ changes, kept }: Changes, commit: string): string {
  const paths = [...changes].map(([path, oid]) => `${oid === undefined ? 'remove' : 'render'} ${path}`).sort();
  const more = paths.length > namedPaths ? [`and ${paths.length - namedPaths} more`] : [];
  const left = kept === 0 ? [] : [`${kept} deployments keep the file that they were started with`];
  const subject = `render main ${commit.slice(0, 7)}: ${paths.length} file${paths.length === 1 ? '' : 's'}`;
  return `${subject}\n\n${[...paths.slice(0, namedPaths), ...more, ...left].join('\n')}\n\nConfig-Commit: ${commit}\n`;
}

export function createRerender(repository: Repository, options: RerenderOptions) {
  const { render, lookup, renderTree, clock } = options;
  const { objects } = repository;
  if (renderTree?.folders.includes(chutesFolder))
    throw new MinerError('E-GUARD', `folder ${chutesFolder} holds deployments, which follow from decisions`);

  /** Paths and blobs of all files below a folder. */
  async function filesBelow(commit: string, folder: string): Promise<Map<string, string>> {
    const files = new Map<string, string>();
    for (const [name, entry] of await repository.folder(commit, folder)) {
      const [path, oid] = [`${folder}/${name}`, fileOid(entry)];
      if (oid) files.set(path, oid);
      else if (folderOid(entry)) for (const [below, blob] of await filesBelow(commit, path)) files.set(below, blob);
    }
    return files;
  }

  async function deploymentChanges(head: string, { config, servers }: MainTree, found: Changes): Promise<void> {
    let done = 0;
    for (const [path, oid] of await filesBelow(head, chutesFolder)) {
      done += 1;
      if (done % atOnce === 0) await new Promise((resolve) => setImmediate(resolve));
      const before = (await objects.read(oid, 'blob')).toString();
      const { content } = parseManifest(before, path, oid);
      const context = content && lookup(content.spec);
      if (!content || !context) continue;
      let after: string;
      try {
        after = render(content.spec, { config: configFor(config, servers.get(content.spec.server)), ...context });
      } catch {
        // What the configuration does not allow any more runs on as it is.
        found.kept += 1;
        continue;
      }
      const blob = makeObject('blob', Buffer.from(after));
      if (blob.oid === oid) continue;
      if (!differsInMetadataOnly(before, after, path)) {
        found.kept += 1;
        continue;
      }
      found.changes.set(path, blob.oid);
      found.blobs.push(blob);
    }
  }

  async function treeChanges(head: string, { files, blobs }: Rendered, found: Changes): Promise<void> {
    const present = new Map<string, string>();
    for (const folder of renderTree?.folders ?? [])
      for (const [path, oid] of await filesBelow(head, folder)) present.set(path, oid);
    const needed = new Set<string>();
    for (const [path, oid] of files) {
      if (present.get(path) === oid) continue;
      found.changes.set(path, oid);
      needed.add(oid);
    }
    for (const [oid, blob] of blobs) if (needed.has(oid)) found.blobs.push(blob);
    for (const path of present.keys()) if (!files.has(path)) found.changes.set(path, undefined);
  }

  /**
   * Rejects with E-GUARD when a rendered file may not be on `live`, else like a commit. A renderer that gives nothing at all although
   * its folders hold files is no wish to remove them: E-GUARD.
   */
  return async (main: MainTree, mayWrite: () => boolean = () => true): Promise<Rerendered | undefined> => {
    const texts = (await renderTree?.render(main)) ?? new Map<string, string>();
    const tree = await checked(texts, renderTree?.folders ?? []);
    for (let attempt = 1; ; attempt++) {
      const head = await repository.head('live');
      const found: Changes = { changes: new Map(), blobs: [], kept: 0 };
      await deploymentChanges(head, main, found);
      await treeChanges(head, tree, found);
      const removed = [...found.changes.values()].filter((oid) => oid === undefined).length;
      if (texts.size === 0 && removed > 0)
        throw new MinerError(
          'E-GUARD',
          `nothing was rendered from main ${main.commit}, and ${removed} files are there`,
        );
      const { changes, blobs, kept } = found;
      if (changes.size === 0) return { commit: head, changed: [], kept };
      if (!mayWrite()) return undefined;
      const message = messageOf(found, main.commit);
      try {
        const commit = await repository.commit({
          branch: 'live',
          base: head,
          changes,
          blobs,
          message,
          at: clock.now(),
        });
        return { commit, changed: [...changes.keys()].sort(), kept };
      } catch (error) {
        const again = error instanceof MinerError && error.code === 'E-GIT-CONFLICT' && attempt < attempts;
        if (!again) throw error;
      }
    }
  };
}
