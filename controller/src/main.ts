// Entry point of the one image: `main.ts <role> [options]`. Exit code 2 for anything wrong in options or configuration.

import { parseArgs } from 'node:util';
import { MinerError, messageOf } from './domain/errors.ts';
import type { OptionValues, Role } from './roles/role.ts';

const roles: Record<string, () => Promise<{ role: Role }>> = {
  agent: () => import('./roles/agent.ts'),
  all: () => import('./roles/all.ts'),
  'audit-exporter': () => import('./roles/audit-exporter.ts'),
  'cache-cleaner': () => import('./roles/cache-cleaner.ts'),
  controller: () => import('./roles/serve-controller.ts'),
  gepetto: () => import('./roles/serve-gepetto.ts'),
  'graval-bootstrap': () => import('./roles/graval-bootstrap.ts'),
  'import-upstream': () => import('./roles/import-upstream.ts'),
  'registry-auth': () => import('./roles/registry-auth.ts'),
};

const usage = `Usage: main.ts ROLE [options]      (main.ts ROLE --help: the options of a role)

Roles: ${Object.keys(roles).join(', ')}`;

async function main(): Promise<void> {
  const [name = '--help', ...args] = process.argv.slice(2);
  if (name === '--help') {
    console.log(usage);
    return;
  }
  const load = Object.hasOwn(roles, name) ? roles[name] : undefined;
  if (!load)
    throw new MinerError(
      'E-USAGE',
      `role "${name}" is not known; allowed: ${Object.keys(roles).join(', ')}\n\n${usage}`,
    );
  const { role } = await load();
  const options = { ...role.options, help: { type: 'boolean', default: false } } as const;
  const values = parseArgs({ args, options }).values as OptionValues;
  if (values.help === true) {
    console.log(`${role.summary}\n\nUsage: main.ts ${name} [options]\n\n${role.help}`);
    return;
  }
  // A role that is not up yet has nothing to end; as process 1 of a container it would not hear of a signal without a handler.
  let stop = async (code: number): Promise<void> => process.exit(code);
  process.on('SIGINT', () => stop(130));
  process.on('SIGTERM', () => stop(143));
  const running = await role.start(values);
  if (!running) return;
  let stopping = false;
  stop = async () => {
    if (stopping) return;
    stopping = true;
    await running.stop().catch(fail);
    process.exit(0);
  };
  if (values['follow-parent'] === true) {
    const parent = process.ppid;
    setInterval(() => process.ppid !== parent && stop(0), 500).unref();
  }
}

const configurationCodes = new Set(['E-USAGE', 'E-CONFIG', 'E-HOTKEY']);

/** What the options asked for and cannot be had: Node's own errors for a wrong option, and for an address that cannot be listened on. */
function isUsage(error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return String(error.code).startsWith('ERR_PARSE_ARGS') || ('syscall' in error && error.syscall === 'listen');
}

function fail(error: unknown): never {
  const code = error instanceof MinerError ? error.code : isUsage(error) ? 'E-USAGE' : undefined;
  console.error(code ? `${code}: ${messageOf(error)}` : error);
  process.exit(code && configurationCodes.has(code) ? 2 : 1);
}

await main().catch(fail);
