// servers/<name>.yaml as text. An existing file keeps its comments, its order and whatever it already says; only fields that differ
// are set.

import { isDeepStrictEqual } from 'node:util';
import { Document, isScalar, parseDocument } from 'yaml';
import { type ServerConfig, serverConfig } from '../domain/config.ts';
import { checkYamlFile } from './configfile.ts';
import { configError, formatField, formatFound } from './problems.ts';

const newFileHead = ' A GPU server of this miner. Fields: see servers/example.yaml';

function freshFile(server: ServerConfig): string {
  const { name, validator, hourlyCost, gpuShortRef, agentApi, locked } = server;
  const document = new Document({ name, validator, hourlyCost, gpuShortRef, agentApi, locked });
  document.commentBefore = newFileHead;
  const cost: unknown = document.get('hourlyCost', true);
  if (isScalar(cost)) cost.comment = ' USD per GPU and hour';
  return document.toString({ lineWidth: 0 });
}

/** Rejects a server whose fields are not valid with E-CONFIG: its name becomes a path. */
export function demandServer(server: ServerConfig): ServerConfig {
  const result = serverConfig.safeParse(server);
  if (result.success) return result.data;
  throw configError(
    result.error.issues.map(({ path, message }) => {
      const value = path.length === 1 ? (server as unknown as Record<PropertyKey, unknown>)[path[0] ?? ''] : undefined;
      return {
        file: `servers/${String(server.name)}.yaml`,
        line: 1,
        field: formatField(path),
        found: formatFound(value),
        allowed: message,
      };
    }),
  );
}

/**
 * The new text of the file, or undefined when it says the same already. An existing file that is not valid YAML or holds unknown
 * fields is E-CONFIG: a person must look at it first.
 */
export function serverFileText(existing: string | undefined, server: ServerConfig, file: string): string | undefined {
  if (existing === undefined) return freshFile(server);
  const document = parseDocument(existing);
  const fields = Object.entries(server) as [keyof ServerConfig, unknown][];
  if (document.errors.length > 0) throw configError(checkYamlFile(existing, file, serverConfig).problems);
  const { locked } = serverConfig.shape;
  const data = (document.toJS() ?? {}) as Record<string, unknown>;
  for (const [name, value] of fields) {
    const found = data[name];
    const absentDefault = name === 'locked' && found === undefined && value === locked.parse(undefined);
    if (!isDeepStrictEqual(found, value) && !absentDefault) document.set(name, value);
  }
  const text = document.toString({ lineWidth: 0 });
  const { problems } = checkYamlFile(text, file, serverConfig);
  if (problems.length > 0) throw configError(problems);
  const same = checkYamlFile(existing, file, serverConfig).value;
  return same && fields.every(([name, value]) => isDeepStrictEqual(same[name], value)) ? undefined : text;
}
