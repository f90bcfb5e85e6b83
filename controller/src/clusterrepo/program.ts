// Runs git and gpg as child processes: bounded in time and output, killed with everything they started, configured by the environment
// alone. The credential is read from its file by git's helper; it is on no command line and in no message.

import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';

export interface ProgramResult {
  /** Exit status; undefined when the program was killed or could not be started. */
  code: number | undefined;
  stdout: string;
  stderr: string;
  timedOut: boolean;
}

export interface ProgramOptions {
  env: NodeJS.ProcessEnv;
  cwd?: string | undefined;
  input?: Buffer | undefined;
  /** ms until it is killed with its children. */
  timeoutMs: number;
}

const longestOutput = 4 * 1024 * 1024;

/** SIGKILL for the whole process group: git leaves the transfer to a child that would go on. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It ended by itself.
  }
}

/** Never rejects: what went wrong is in the result. */
export function runProgram(program: string, args: readonly string[], options: ProgramOptions): Promise<ProgramResult> {
  const { env, cwd, input, timeoutMs } = options;
  return new Promise((resolve) => {
    const child = spawn(program, args, { env, cwd, detached: true, stdio: ['pipe', 'pipe', 'pipe'] });
    let [stdout, stderr, timedOut] = ['', '', false];
    const timer = setTimeout(() => {
      timedOut = true;
      killGroup(child);
    }, timeoutMs);
    const kill = () => killGroup(child);
    process.once('exit', kill);
    function finish(code: number | null): void {
      clearTimeout(timer);
      process.off('exit', kill);
      resolve({ code: code ?? undefined, stdout, stderr, timedOut });
    }
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout = (stdout + text).slice(-longestOutput);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-longestOutput);
    });
    child.once('error', (error) => {
      stderr += error.message;
      finish(null);
    });
    child.once('close', finish);
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** Passed on to git: how to find programs, and how to reach the outside. */
const passedOn =
  /^(PATH|TMPDIR|(http|https|no|all)_proxy|SSL_CERT_(FILE|DIR)|GIT_SSL_CAINFO|SSH_AUTH_SOCK|GIT_SSH_COMMAND)$/i;

export function plainEnvironment(): NodeJS.ProcessEnv {
  const known = Object.entries(process.env).filter(([name]) => passedOn.test(name));
  return { ...Object.fromEntries(known), LC_ALL: 'C', TZ: 'UTC' };
}

const helper = `!f() { test "$1" = get || exit 0; IFS=: read -r user token < "$MINER_GIT_CREDENTIAL" || test -n "$user" || exit 1
printf 'username=%s\\npassword=%s\\n' "$user" "$token"; }; f`;

function gitEnvironment(credentialFile: string | undefined): NodeJS.ProcessEnv {
  const config: [string, string][] = [
    ['gc.auto', '0'],
    ['gc.packRefs', 'false'],
    ['maintenance.auto', 'false'],
    // What is fetched is on disk before a branch names it; few files for that, because each one is flushed.
    ['core.fsync', 'committed'],
    ['fetch.unpackLimit', '20'],
    ['advice.detachedHead', 'false'],
    ['push.followTags', 'false'],
    ['safe.directory', '*'],
    // An empty helper forgets those that came before it.
    ['credential.helper', ''],
    ...(credentialFile === undefined ? [] : ([['credential.helper', helper]] as [string, string][])),
  ];
  const pairs = config.flatMap(([key, value], i) => [
    [`GIT_CONFIG_KEY_${i}`, key],
    [`GIT_CONFIG_VALUE_${i}`, value],
  ]);
  return {
    ...plainEnvironment(),
    HOME: '/nonexistent',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: '',
    GIT_CONFIG_COUNT: String(config.length),
    ...Object.fromEntries(pairs),
    ...(credentialFile === undefined ? {} : { MINER_GIT_CREDENTIAL: credentialFile }),
  };
}

export interface GitProgram {
  readonly gitdir: string;
  run(args: readonly string[], timeoutMs?: number): Promise<ProgramResult>;
  /** The line that says what was wrong, without credentials. */
  reasonOf(result: ProgramResult): Promise<string>;
}

const longestReason = 300;

export function openGitProgram(gitdir: string, timeoutMs: number, credentialFile?: string): GitProgram {
  const env = gitEnvironment(credentialFile);

  /** What the other side says may repeat what it was sent. */
  async function withoutCredential(text: string): Promise<string> {
    const credential = credentialFile && (await readFile(credentialFile, 'utf8').catch(() => ''));
    const token = credential ? credential.trim().split(':').slice(1).join(':') : '';
    const hidden = token === '' ? text : text.replaceAll(token, '***');
    return hidden.replace(/\/\/[^/@\s]*@/g, '//');
  }

  return {
    gitdir,
    run: (args, limitMs = timeoutMs) => runProgram('git', ['--git-dir', gitdir, ...args], { env, timeoutMs: limitMs }),
    async reasonOf({ stderr, timedOut, code }) {
      if (timedOut) return 'no answer in time';
      const lines = stderr.split('\n').filter((line) => line.trim() !== '');
      const said = lines.find((line) => /^(fatal|error): /.test(line)) ?? lines.at(-1) ?? `git ended with ${code}`;
      return (await withoutCredential(said.replace(/^(fatal|error): /, ''))).slice(0, longestReason);
    },
  };
}
