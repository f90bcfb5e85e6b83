// `inventory local`: what the miner knows, in upstream's layout.

import { type CommandModule, type Context, flag, text } from '../command.ts';
import { selectServers } from '../inventory.ts';
import { toJson } from '../json.ts';
import { withoutCredentials } from '../output/output.ts';

async function run(context: Context): Promise<undefined> {
  const { out, values } = context;
  const servers = await selectServers(context, text(values, 'name'));
  if (flag(values, 'rawJson')) {
    out.line(toJson(withoutCredentials(servers), 2));
    return;
  }
  const { serverView } = await import('../views.ts');
  await out.show({
    value: servers,
    names: servers.map(({ name }) => name),
    table: (look) => servers.map((server) => serverView(server, look)).join('\n\n'),
  });
}

export const command: CommandModule = {
  options: [
    { flags: '--raw-json', description: 'the same as -o json: a list of servers' },
    { flags: '--no-raw-json', description: 'tables' },
    { flags: '-n, --name <name>', description: 'only this server (name or id)' },
  ],
  examples: ['local-inventory', 'local-inventory -n gpu-0', 'inventory local --raw-json'],
  run,
};
