// Takes over a running upstream miner: its database becomes ours, and its servers become files for branch main. Runs once, to its end.

import { MinerError } from '../domain/errors.ts';
import { type Import, translate } from '../store/upstream/import.ts';
import { readUpstream } from '../store/upstream/source.ts';
import { demandEmptyTarget, writeImport } from '../store/upstream/target.ts';
import { databaseUrl } from '../store/url.ts';
import { gitHelp, gitOptions, readGitOptions } from './gitoptions.ts';
import { inFolder, onHost } from './importplace.ts';
import { type OptionValues, optional, type Role, required, wholeNumber } from './role.ts';

/** Rows listed for one reason. */
const shownOfEach = 50;

export const role: Role = {
  summary:
    'Takes the database of an upstream miner over into an empty one of ours, and writes its servers as files for branch main.',
  help: `  --from URL         database of the upstream miner; it is only read. Stop its gepetto and reconciler before
  --from-file FILE   file that holds that URL; also: environment variable UPSTREAM_POSTGRESQL
  --to URL           our database; must be empty
  --to-file FILE     file that holds that URL; also: environment variable POSTGRESQL
  --config-dir DIR   work tree of branch main; servers/<name>.yaml are written there, commit them before the miner starts.
                     Or --git-url: they are pushed to main in one commit
  --disk-gb N        disk of each server for chutes, in GB: the source does not know it; default 1000
  --dry-run          say what would be taken and what not, and write nothing

${gitHelp}

A URL on the command line can be read by everybody on the machine: give one with a password as a file or variable.`,
  options: {
    from: { type: 'string' },
    'from-file': { type: 'string' },
    to: { type: 'string' },
    'to-file': { type: 'string' },
    'config-dir': { type: 'string' },
    'disk-gb': { type: 'string', default: '1000' },
    'dry-run': { type: 'boolean', default: false },
    ...gitOptions,
  },
  start: async (values) => {
    await importUpstream(values, process.env, Date.now(), console.log);
    return undefined;
  },
};

function urlOf(values: OptionValues, name: string, variable: string, env: NodeJS.ProcessEnv): string {
  const url = databaseUrl({ url: optional(values, name), file: optional(values, `${name}-file`), env, variable });
  if (url === undefined)
    throw new MinerError('E-USAGE', `--${name}, --${name}-file or variable ${variable} is missing`);
  return url;
}

/** Reads, checks everything that can be checked, writes rows and files together or neither. `print` gets one line at a time. */
export async function importUpstream(
  values: OptionValues,
  env: NodeJS.ProcessEnv,
  now: number,
  print: (line: string) => void,
): Promise<void> {
  const git = await readGitOptions(values);
  if ((git.remote === undefined) === (optional(values, 'config-dir') === undefined))
    throw new MinerError('E-USAGE', 'either --config-dir or --git-url says where the files of servers go');
  const diskGb = wholeNumber(values, 'disk-gb');
  const from = urlOf(values, 'from', 'UPSTREAM_POSTGRESQL', env);
  const to = urlOf(values, 'to', 'POSTGRESQL', env);
  const found = translate(await readUpstream(from), { diskGb, now });
  await demandEmptyTarget(to);
  const place = git.remote
    ? await onHost(git, found.configs)
    : await inFolder(required(values, 'config-dir'), found.configs);
  try {
    for (const line of report(found, diskGb)) print(line);
    if (values['dry-run'] === true) {
      print('Dry run: nothing was written.');
      return;
    }
    await writeImport(to, found, place.write).catch(async (error: unknown) => {
      await place.undo();
      throw error;
    });
    print(`Written: the rows, and ${place.written}`);
  } finally {
    await place.close();
  }
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  return [head, ...rows].map((row) =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function report({ counts, findings, servers }: Import, diskGb: number): string[] {
  const totals = counts.map(({ kind, found, taken }) => [kind, `${found}`, `${taken}`, `${found - taken}`]);
  const lines = table(['KIND', 'FOUND', 'TAKEN', 'LEFT'], totals);
  if (findings.length > 0) {
    const groups = Map.groupBy(findings, ({ kind, why }) => `${kind} ${why}`);
    const rows = [...groups.values()].flatMap((group) => {
      const shown = group.slice(0, shownOfEach).map(({ kind, id, outcome, why }) => [kind, id, outcome, why]);
      const more = group.length - shown.length;
      return more > 0 ? [...shown, ['', `and ${more} more`, '', '']] : shown;
    });
    lines.push('', ...table(['KIND', 'ROW', 'WHAT', 'WHY'], rows));
  }
  lines.push('', 'Kubeconfigs are not taken: they are fetched from the agents.');
  if (servers.length > 0)
    lines.push(`The source does not know disk sizes: ${diskGb} GB assumed for each server (--disk-gb).`);
  return lines;
}
