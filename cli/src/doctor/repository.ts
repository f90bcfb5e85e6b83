// The cluster repository as git sees it: reachable, and with the two branches.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type Check, fail, ok } from './check.ts';

const execute = promisify(execFile);
const timeoutMs = 20_000;
const branches = ['main', 'live'];

/** Git may put credentials of the URL into its words. */
function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/@\s]*@/g, '//');
}

export async function checkRepository(repository: string): Promise<Check[]> {
  const shown = withoutCredentials(repository);
  let listed: string;
  try {
    const env = { ...process.env, GIT_TERMINAL_PROMPT: '0' };
    const refs = branches.map((branch) => `refs/heads/${branch}`);
    listed = (await execute('git', ['ls-remote', '--', repository, ...refs], { timeout: timeoutMs, env })).stdout;
  } catch (error) {
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
    const [first = 'git failed'] = withoutCredentials(said).split('\n');
    return [fail('repository', `${shown}: ${first || 'git failed'}`, 'check the path or URL, and your access to it')];
  }
  return branches.map((branch) => {
    const line = listed.split('\n').find((one) => one.endsWith(`refs/heads/${branch}`));
    const name = `repository branch ${branch}`;
    if (line) return ok(name, `${shown} at ${line.slice(0, 8)}`);
    return fail(
      name,
      `${shown} has none`,
      'the miner makes both branches at its first start; is this the cluster repository?',
    );
  });
}
