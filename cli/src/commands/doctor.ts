// `doctor`: looks at each part the command line and the miner depend on; one line each, and how to mend what is broken. Exit 3 on a failure.

import type { CommandModule, Context } from '../command.ts';
import { text } from '../command.ts';
import { checkAll } from '../doctor/checks.ts';
import { exitCodes } from '../errors.ts';

async function run(context: Context): Promise<number | undefined> {
  const { out } = context;
  const isText = out.format === 'table' || out.format === 'wide';
  const styles = { ok: 'green', warn: 'yellow', fail: 'red' } as const;
  const checks = await checkAll(context, text(context.values, 'repo'), (check) => {
    if (!isText || (out.quiet && check.result === 'ok')) return;
    out.line(`${out.paint(check.result.padEnd(4), styles[check.result])}  ${check.name}: ${check.detail}`);
    if (check.fix && check.result !== 'ok') out.line(`      fix: ${check.fix}`);
  });
  const failed = checks.filter(({ result }) => result === 'fail');
  await out.show({
    value: { ok: failed.length === 0, checks },
    names: failed.map(({ name }) => name),
    table: () => '',
  });
  return failed.length > 0 ? exitCodes.different : undefined;
}

export const command: CommandModule = {
  options: [{ flags: '--repo <path|url>', description: 'also check this cluster repository', env: 'CHUTES_REPO' }],
  examples: ['doctor', 'doctor --repo ~/cluster.git', 'doctor -o json | jq ".checks[] | select(.result != \\"ok\\")"'],
  run,
};
