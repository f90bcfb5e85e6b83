// `kubeconfig sync`: access to the control plane and every server, from the miner API.

import type { CommandModule, Context } from '../command.ts';
import { fileOptions, writeKubeconfig } from '../kubeconfig-file.ts';

async function run(context: Context): Promise<undefined> {
  const { parseForeign } = await import('../kubeconfig.ts');
  const miner = await context.miner();
  const answer = await miner.json('GET', '/servers/kubeconfig', { purpose: 'kubeconfig' });
  return writeKubeconfig(context, await parseForeign(answer, 'the answer of the miner API'));
}

export const command: CommandModule = {
  options: [...fileOptions, { flags: '--replace', description: 'replace the whole file, as upstream does' }],
  examples: ['sync-kubeconfig --yes', 'kubeconfig sync --path ~/.kube/config', 'kubeconfig sync --overwrite --yes'],
  onAbort: 1,
  run,
};
