// images.yaml of a cluster repository: what it and the defaults say, and digests written into it with comments and order kept.

import { readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { imagesFile, readConfigFolder } from '@miner/controller/clusterrepo/configfolder.ts';
import { isPinned } from '@miner/controller/domain/values/images.ts';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { type Context, text } from '../command.ts';
import { usageError } from '../errors.ts';
import type { Logins } from './digest.ts';

export interface NamedImage {
  name: string;
  /** `name:tag`, with `@sha256:…` when it is pinned. */
  image: string;
  pinned: boolean;
}

export const repoOption = {
  flags: '--repo <dir>',
  description: 'a clone of branch main of the cluster repository',
  default: '.',
};

export function folderOf({ values }: Pick<Context, 'values'>): string {
  return text(values, 'repo') ?? '.';
}

/** Every image that is run, in the order of the table. Rejects with E-CONFIG. */
export async function imagesIn(folder: string): Promise<NamedImage[]> {
  const { config } = await readConfigFolder(folder);
  return Object.entries(config.images).map(([name, image]) => ({ name, image, pinned: isPinned(image) }));
}

/** Those that were named, or all. */
export function chosen(images: readonly NamedImage[], names: readonly (string | undefined)[]): NamedImage[] {
  const wanted = names.filter((name) => name !== undefined);
  const unknown = wanted.find((name) => !images.some((one) => one.name === name));
  if (unknown !== undefined)
    throw usageError(`no image is named ${unknown}, allowed: ${images.map(({ name }) => name).join(', ')}`);
  return images.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** Nothing is written when the file says it already. */
export async function writeImages(folder: string, images: ReadonlyMap<string, string>): Promise<void> {
  const path = join(folder, imagesFile);
  const before = (await textOf(path)) ?? '';
  const document = parseDocument(before);
  for (const [name, image] of images) document.set(name, image);
  const after = document.toString({ lineWidth: 0 });
  if (after !== before) await writeFile(path, after);
}

const loginsShape = z.object({
  auths: z.record(z.string(), z.looseObject({ auth: z.string().optional() })).default({}),
});

/** What `docker login` or `podman login` left in config.json of `DOCKER_CONFIG`, or of ~/.docker. */
export async function readLogins({ DOCKER_CONFIG, HOME }: Context['io']['env']): Promise<Logins> {
  const path = join(DOCKER_CONFIG || join(HOME || homedir(), '.docker'), 'config.json');
  const found = await textOf(path);
  if (found === undefined) return new Map();
  let data: unknown;
  try {
    data = JSON.parse(found);
  } catch {
    throw usageError(`${path} is not JSON`);
  }
  const { auths } = loginsShape.catch({ auths: {} }).parse(data);
  return new Map(Object.entries(auths).flatMap(([host, { auth }]) => (auth ? [[host, auth] as const] : [])));
}
