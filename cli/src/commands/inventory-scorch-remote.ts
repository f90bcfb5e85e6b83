// `inventory scorch-remote`: the validator forgets every server. A failure stops nothing; the summary tells.

import type { CommandModule, Context } from '../command.ts';
import { asCliError, type CliError, exitCodes } from '../errors.ts';
import { confirm } from '../prompt.ts';
import { forgetRemote, readRemoteServers, remoteName } from '../remote-inventory.ts';

async function run(context: Context): Promise<number | undefined> {
  const { out, io } = context;
  const servers = await readRemoteServers(await context.validator());
  const { address } = await context.signer();
  const names = servers.map(remoteName);
  await confirm(context, {
    action: `have the validator forget ${servers.length} server(s) and all instances on them`,
    targets: servers.map((server) => `${remoteName(server)} (${server.gpus.length} GPUs)`),
    hotkey: address,
  });
  const isText = out.format === 'table' || out.format === 'wide';
  const failed: { name: string; error: CliError }[] = [];
  for (const name of names) {
    if (io.signal.aborted) break;
    if (isText) out.line(`Deleting server ${name}`);
    try {
      await forgetRemote(context, name);
      if (isText) out.line(`successfully deleted ${name}`);
    } catch (thrown) {
      const error = asCliError(thrown);
      failed.push({ name, error });
      out.warn(`${name} was not deleted: ${error.message} [${error.code}]`);
    }
  }
  const broken = new Set(failed.map(({ name }) => name));
  const deleted = names.filter((name) => !broken.has(name));
  const value = {
    deleted,
    failed: failed.map(({ name, error }) => ({ name, error: error.code, detail: error.message })),
  };
  await out.show({ value, names: deleted, table: () => '' });
  out.note(`${deleted.length} deleted, ${failed.length} failed`);
  return failed.length > 0 ? exitCodes.failed : undefined;
}

export const command: CommandModule = {
  options: [
    { flags: '--confirm <start>', description: 'first 6 characters of the hotkey: proof that this miner is meant' },
  ],
  examples: ['scorch-remote --confirm 5Grwva', 'inventory scorch-remote --confirm 5Grwva --yes'],
  run,
};
