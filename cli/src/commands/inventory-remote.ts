// `inventory remote`: what the validator knows, in upstream's layout.

import { type CommandModule, type Context, flag, text } from '../command.ts';
import { notFoundError } from '../errors.ts';
import { knownHint } from '../inventory.ts';
import { toJson } from '../json.ts';
import { withoutCredentials } from '../output/output.ts';
import { readRemoteGpus, readRemoteServers, remoteName } from '../remote-inventory.ts';

async function run(context: Context): Promise<undefined> {
  const { out, values } = context;
  const validator = await context.validator();
  const all = await readRemoteServers(validator);
  const gpus = new Map((await readRemoteGpus(validator)).map((gpu) => [gpu.gpu_id, gpu]));
  const wanted = text(values, 'name');
  const servers = all.filter(({ name, server_id }) => wanted === undefined || name === wanted || server_id === wanted);
  if (wanted !== undefined && servers.length === 0) {
    throw notFoundError(`the validator knows no server with the name or id ${wanted}`, knownHint(all.map(remoteName)));
  }
  if (flag(values, 'rawJson')) {
    out.line(toJson(withoutCredentials({ servers }), 2));
    return;
  }
  const { remoteServerView } = await import('../views.ts');
  await out.show({
    value: { servers },
    names: servers.map(remoteName),
    table: (look) => servers.map((server) => remoteServerView(server, gpus, look)).join('\n\n'),
  });
}

export const command: CommandModule = {
  options: [
    { flags: '--raw-json', description: 'the same as -o json: {"servers": […]}' },
    { flags: '--no-raw-json', description: 'tables' },
    { flags: '-n, --name <name>', description: 'only this server (name or id)' },
  ],
  examples: ['remote-inventory', 'remote-inventory --raw-json', 'inventory remote -n gpu-0'],
  run,
};
