// The configuration of branch `main` as a whole: miner.yaml, images.yaml and servers/*.yaml, and what must agree between them. All problems at once.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseDocument } from 'yaml';
import type { z } from 'zod';
import { type MinerConfig, minerConfig, type ServerConfig, serverConfig } from '../domain/config.ts';
import { serversNamed } from '../domain/policy.ts';
import { type Images, imagesFileValues } from '../domain/values/images.ts';
import { type CheckedFile, checkYamlFile, lineOf } from './configfile.ts';
import { isErrno } from './files.ts';
import { configError, formatField, formatFound, nearest, type Problem } from './problems.ts';

export interface Configuration {
  config: MinerConfig;
  servers: ReadonlyMap<string, ServerConfig>;
}

/** Content by path from the root of the branch. */
export type ConfigFiles = ReadonlyMap<string, Buffer>;

export const minerFile = 'miner.yaml';
/** The one place for tags and digests of images; may be left out. */
export const imagesFile = 'images.yaml';
/** Files at the top that are read. */
export const topFiles: readonly string[] = [minerFile, imagesFile];
export const serversFolder = 'servers';

/** Whether a file of folder `servers` is read: a YAML file whose name does not begin with `example`. */
export function isServerFile(name: string): boolean {
  return /\.ya?ml$/.test(name) && !name.startsWith('example') && !name.startsWith('.');
}

function textOf(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function check<T>(bytes: Buffer, file: string, schema: z.ZodType<T>): CheckedFile<T> {
  const text = textOf(bytes);
  if (text !== undefined) return checkYamlFile(text, file, schema);
  const problem = { file, line: 1, field: '', found: 'bytes that are not UTF-8 text', allowed: 'UTF-8 text' };
  return { value: undefined, text: '', problems: [problem] };
}

function checkValidators({ value, text }: CheckedFile<MinerConfig>): Problem[] {
  const seen = new Set<string>();
  return (value?.validators ?? []).flatMap(({ hotkey }, i) => {
    if (!seen.has(hotkey)) {
      seen.add(hotkey);
      return [];
    }
    const path = ['validators', i, 'hotkey'];
    const found = `${hotkey} a second time`;
    return [
      { file: minerFile, line: lineOf(text, path), field: formatField(path), found, allowed: 'each validator once' },
    ];
  });
}

/** `files`: names of the server files, whatever is in them. */
function checkPolicy({ value, text }: CheckedFile<MinerConfig>, files: Iterable<string>): Problem[] {
  if (!value) return [];
  const known = new Set([...files].map((file) => file.slice(serversFolder.length + 1).replace(/\.ya?ml$/, '')));
  return serversNamed(value.policy)
    .filter(({ name }) => !known.has(name))
    .map(({ name, path }) => {
      const guess = nearest(name, [...known]);
      const allowed = guess ? `${guess} (is that what you mean?)` : `a server that has a file under ${serversFolder}/`;
      return { file: minerFile, line: lineOf(text, path), field: formatField(path), found: formatFound(name), allowed };
    });
}

function checkServer(
  file: string,
  { value, text }: CheckedFile<ServerConfig>,
  config: MinerConfig | undefined,
): Problem[] {
  if (!value) return [];
  const problems: Problem[] = [];
  const add = (field: keyof ServerConfig, allowed: string) => {
    problems.push({ file, line: lineOf(text, [field]), field, found: formatFound(value[field]), allowed });
  };
  const expected = `${serversFolder}/${value.name}.yaml`;
  if (file !== expected) add('name', `the name of the file, which would have to be ${expected}`);
  const known = config?.validators.map(({ hotkey }) => hotkey);
  if (known && !known.includes(value.validator)) add('validator', `a validator of ${minerFile}: ${known.join(', ')}`);
  return problems;
}

/** Two servers at one address are one server under two names. */
function checkAddresses(checked: ReadonlyMap<string, CheckedFile<ServerConfig>>): Problem[] {
  const holders = new Map<string, string>();
  return [...checked].flatMap(([file, { value, text }]) => {
    if (!value) return [];
    const address = value.agentApi.toLowerCase().replace(/\/+$/, '');
    const holder = holders.get(address);
    if (holder === undefined) holders.set(address, file);
    if (holder === undefined) return [];
    const line = lineOf(text, ['agentApi']);
    const allowed = `an address of its own; ${holder} has this one`;
    return [{ file, line, field: 'agentApi', found: formatFound(value.agentApi), allowed }];
  });
}

/** An image has one place, so that the digest somebody looks at is the one that runs. */
function checkImages(images: CheckedFile<Partial<Images> | null>, { text }: CheckedFile<MinerConfig>): Problem[] {
  const miner = parseDocument(text);
  return Object.keys(images.value ?? {})
    .filter((name) => miner.hasIn(['images', name]))
    .map((name) => {
      const path = ['images', name];
      const allowed = `to be named in ${imagesFile} only, where it is too`;
      return { file: minerFile, line: lineOf(text, path), field: formatField(path), found: 'an image', allowed };
    });
}

/** A reader that checks a file again only when its content changed: there may be a thousand of them. */
export function createConfigReader(): (files: ConfigFiles) => Configuration {
  let known = new Map<string, { bytes: Buffer; checked: CheckedFile<ServerConfig> }>();

  function checkServers(files: ConfigFiles): Map<string, CheckedFile<ServerConfig>> {
    const names = [...files.keys()].filter((file) => !topFiles.includes(file)).sort();
    const next: typeof known = new Map();
    for (const file of names) {
      const bytes = files.get(file) ?? Buffer.alloc(0);
      const same = known.get(file);
      next.set(file, same?.bytes.equals(bytes) ? same : { bytes, checked: check(bytes, file, serverConfig) });
    }
    known = next;
    return new Map([...known].map(([file, { checked }]) => [file, checked]));
  }

  return (files) => {
    const bytes = files.get(minerFile);
    const miner = bytes && check(bytes, minerFile, minerConfig);
    const absent = {
      file: minerFile,
      line: 1,
      field: '',
      found: 'no such file',
      allowed: 'a file with hotkey and validators',
    };
    const servers = checkServers(files);
    const images = check(files.get(imagesFile) ?? Buffer.alloc(0), imagesFile, imagesFileValues);
    const problems = [
      ...(miner ? [...miner.problems, ...checkValidators(miner), ...checkPolicy(miner, servers.keys())] : [absent]),
      ...[...servers].flatMap(([file, one]) => [...one.problems, ...checkServer(file, one, miner?.value)]),
      ...images.problems,
      ...(miner ? checkImages(images, miner) : []),
      ...checkAddresses(servers),
    ];
    if (problems.length > 0 || !miner?.value) throw configError(problems);
    const values = [...servers.values()].flatMap(({ value }) => (value ? [[value.name, value] as const] : []));
    const config = { ...miner.value, images: { ...miner.value.images, ...images.value } };
    return { config, servers: new Map(values) };
  };
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (isErrno(error, 'ENOENT') || isErrno(error, 'ENOTDIR')) return [];
    throw error;
  }
}

/** The same validation for a plain folder on disk: a template or a checkout. Rejects with E-CONFIG. */
export async function readConfigFolder(dir: string): Promise<Configuration> {
  const files = new Map<string, Buffer>();
  const names = [
    ...topFiles,
    ...(await namesIn(join(dir, serversFolder))).filter(isServerFile).map((name) => `${serversFolder}/${name}`),
  ];
  for (const name of names) {
    try {
      files.set(name, await readFile(join(dir, name)));
    } catch (error) {
      if (!isErrno(error, 'ENOENT') && !isErrno(error, 'EISDIR')) throw error;
    }
  }
  return createConfigReader()(files);
}
