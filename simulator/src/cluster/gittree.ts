// The rendered chute manifests of branch `live`, read from the object store of a bare repository. Folders and files whose object id
// is known already are not read again.

import fs from 'node:fs';
import git from 'isomorphic-git';
import { parseAllDocuments } from 'yaml';

export interface ManifestFile {
  oid: string;
  path: string;
  text: string;
  /** Documents of the file that are maps; `error` names what could not be read. */
  documents: Record<string, unknown>[];
  error: string | undefined;
}

export interface ServerTree {
  oid: string;
  files: ReadonlyMap<string, ManifestFile>;
}

export interface LiveManifests {
  commit: string;
  /** By server name: folder `chutes/<server>`. */
  servers: ReadonlyMap<string, ServerTree>;
}

/** Read one multi-document file; what cannot be read is told in `error`, never thrown. */
export function parseManifest(oid: string, path: string, text: string): ManifestFile {
  const documents: Record<string, unknown>[] = [];
  let error: string | undefined;
  for (const document of parseAllDocuments(text)) {
    if ('errors' in document && document.errors[0]) error ??= `${path}: ${document.errors[0].message.split('\n')[0]}`;
    const value: unknown = 'toJS' in document ? document.toJS() : null;
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      documents.push(value as Record<string, unknown>);
    else if (value !== null) error ??= `${path}: a document is no object`;
  }
  return { oid, path, text, documents, error };
}

export interface ManifestReader {
  /** Commit of `refs/heads/live`; undefined while the branch does not exist. */
  head(): Promise<string | undefined>;
  read(commit: string, previous: LiveManifests | undefined): Promise<LiveManifests>;
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && error.name === 'NotFoundError';
}

export function createManifestReader(gitdir: string): ManifestReader {
  const cache = {};

  async function entries(oid: string, filepath?: string) {
    try {
      const { tree } = await git.readTree({ fs, gitdir, oid, cache, ...(filepath ? { filepath } : {}) });
      return tree;
    } catch (error) {
      if (filepath && isMissing(error)) return [];
      throw error;
    }
  }

  async function readServer(name: string, oid: string, previous: ServerTree | undefined): Promise<ServerTree> {
    if (previous?.oid === oid) return previous;
    const files = new Map<string, ManifestFile>();
    for (const entry of await entries(oid)) {
      if (entry.type !== 'blob' || !/\.ya?ml$/.test(entry.path)) continue;
      const known = previous?.files.get(entry.path);
      if (known?.oid === entry.oid) {
        files.set(entry.path, known);
        continue;
      }
      const { blob } = await git.readBlob({ fs, gitdir, oid: entry.oid, cache });
      const path = `chutes/${name}/${entry.path}`;
      files.set(entry.path, parseManifest(entry.oid, path, new TextDecoder().decode(blob)));
    }
    return { oid, files };
  }

  return {
    async head() {
      try {
        return await git.resolveRef({ fs, gitdir, ref: 'refs/heads/live' });
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async read(commit, previous) {
      const servers = new Map<string, ServerTree>();
      for (const entry of await entries(commit, 'chutes')) {
        if (entry.type !== 'tree') continue;
        servers.set(entry.path, await readServer(entry.path, entry.oid, previous?.servers.get(entry.path)));
      }
      return { commit, servers };
    },
  };
}
