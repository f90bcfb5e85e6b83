// Branch `main`, which belongs to people: the configuration is read from it, and the files of servers are written to it, always on top
// of what people pushed meanwhile.

import type { Clock } from '../domain/clock.ts';
import type { ServerConfig } from '../domain/config.ts';
import { MinerError } from '../domain/errors.ts';
import { isServerName } from '../domain/ids.ts';
import { serversNamed } from '../domain/policy.ts';
import type { MainTree, StrategyFile } from '../domain/ports.ts';
import { createConfigReader, isServerFile, minerFile, serversFolder, topFiles } from './configfolder.ts';
import { makeObject, type NewObject } from './objects.ts';
import { formatField } from './problems.ts';
import type { Repository } from './repository.ts';
import { demandServer, serverFileText } from './serverfile.ts';
import { fileOid } from './trees.ts';

export interface MainBranch {
  read(): Promise<MainTree>;
  /** While the newest commit is faulty, the newest of its ancestors that is not. */
  readLastGood(): Promise<MainTree>;
  /** The tree of a certain commit. */
  readAt(commit: string): Promise<MainTree>;
  writeServer(server: ServerConfig): Promise<string>;
  /** One commit for all. Rejects with E-CONFIG when the file of one is there and says something else. */
  addServers(servers: readonly ServerConfig[]): Promise<string>;
  /** Rejects with E-CONFIG while the policy names the server. */
  removeServer(name: string): Promise<string>;
}

const strategyPath = 'strategy/strategy.ts';
/** Somebody who pushes every two seconds to a host that takes one for a push wins every other time, and more often when they are many. */
const attempts = 20;
/** Faulty commits in a row that are looked behind for a good one. */
const searchedCommits = 200;

interface Change {
  /** New content by path; undefined removes the file. */
  files: ReadonlyMap<string, string | undefined>;
  message: string;
}

export function openMainBranch(repository: Repository, clock: Clock): MainBranch {
  const readConfiguration = createConfigReader();
  let cached: MainTree[] = [];

  async function configFiles(commit: string): Promise<Map<string, Buffer>> {
    const files = new Map<string, Buffer>();
    for (const name of topFiles) {
      const oid = fileOid(await repository.entry(commit, name));
      if (oid) files.set(name, await repository.objects.read(oid, 'blob'));
    }
    for (const [name, entry] of await repository.folder(commit, serversFolder)) {
      const oid = fileOid(entry);
      if (oid && isServerFile(name)) files.set(`${serversFolder}/${name}`, await repository.objects.read(oid, 'blob'));
    }
    return files;
  }

  async function strategyAt(commit: string): Promise<StrategyFile | undefined> {
    const id = fileOid(await repository.entry(commit, strategyPath));
    if (id === undefined) return undefined;
    return { path: strategyPath, text: (await repository.objects.read(id, 'blob')).toString(), id };
  }

  async function readAt(commit: string): Promise<MainTree> {
    const known = cached.find((tree) => tree.commit === commit);
    if (known) return known;
    const tree = { commit, ...readConfiguration(await configFiles(commit)), strategy: await strategyAt(commit) };
    // The newest, and the one that commits are still made from while the newest is faulty.
    cached = [tree, ...cached.slice(0, 1)];
    return tree;
  }

  async function readLastGood(): Promise<MainTree> {
    let commit: string | undefined = await repository.head('main');
    let newest: unknown;
    for (let searched = 0; commit !== undefined && searched < searchedCommits; searched++) {
      try {
        return await readAt(commit);
      } catch (error) {
        if (!(error instanceof MinerError && error.code === 'E-CONFIG')) throw error;
        newest ??= error;
      }
      commit = await repository.parentOf(commit);
    }
    throw newest;
  }

  /** One commit; when somebody else was faster, the change is made anew on what they pushed. */
  async function change(make: (commit: string) => Promise<Change | undefined>): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      const base = await repository.head('main');
      const wanted = await make(base);
      if (!wanted || wanted.files.size === 0) return base;
      const { files, message } = wanted;
      const blobs: NewObject[] = [];
      const changes = new Map<string, string | undefined>();
      for (const [path, text] of files) {
        const blob = text === undefined ? undefined : makeObject('blob', Buffer.from(text));
        if (blob) blobs.push(blob);
        changes.set(path, blob?.oid);
      }
      try {
        return await repository.commit({ branch: 'main', base, changes, blobs, message, at: clock.now() });
      } catch (error) {
        const again = error instanceof MinerError && error.code === 'E-GIT-CONFLICT' && attempt < attempts;
        if (!again) throw error;
      }
    }
  }

  async function textAt(commit: string, path: string): Promise<string | undefined> {
    const oid = fileOid(await repository.entry(commit, path));
    return oid && (await repository.objects.read(oid, 'blob')).toString();
  }

  /** A policy that names a server without a file is a mistake: it is not made by removing the file. */
  async function demandUnnamed(commit: string, name: string): Promise<void> {
    const tree = await readAt(commit).catch(() => undefined);
    const named = tree ? serversNamed(tree.config.policy).find((one) => one.name === name) : undefined;
    if (!named) return;
    const field = formatField(named.path);
    throw new MinerError(
      'E-CONFIG',
      `${minerFile}: ${field} names server ${name}: take it out before the server is removed`,
    );
  }

  return {
    readAt,
    readLastGood,
    async read() {
      return readAt(await repository.head('main'));
    },
    async writeServer(server) {
      const path = `${serversFolder}/${demandServer(server).name}.yaml`;
      return change(async (commit) => {
        const existing = await textAt(commit, path);
        const text = serverFileText(existing, server, path);
        const message = `${existing === undefined ? 'Add' : 'Change'} server ${server.name}\n`;
        return text === undefined ? undefined : { files: new Map([[path, text]]), message };
      });
    },
    async addServers(servers) {
      const named = new Map(servers.map((server) => [`${serversFolder}/${demandServer(server).name}.yaml`, server]));
      return change(async (commit) => {
        const files = new Map<string, string>();
        for (const [path, server] of named) {
          const existing = await textAt(commit, path);
          const text = serverFileText(existing, server, path);
          if (text === undefined) continue;
          if (existing !== undefined)
            throw new MinerError('E-CONFIG', `${path} is on main and says something else; nothing was added`);
          files.set(path, text);
        }
        return { files, message: `Add ${files.size} server${files.size === 1 ? '' : 's'}\n` };
      });
    },
    async removeServer(name) {
      if (!isServerName(name))
        throw new MinerError('E-CONFIG', `${JSON.stringify(name)} cannot be the name of a server`);
      const path = `${serversFolder}/${name}.yaml`;
      return change(async (commit) => {
        if ((await textAt(commit, path)) === undefined) return undefined;
        await demandUnnamed(commit, name);
        return { files: new Map([[path, undefined]]), message: `Remove server ${name}\n` };
      });
    },
  };
}
