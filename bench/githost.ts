// The git host of the benchmarks in a process of its own, as it is in the world: what the writer's process weighs does not slow its children.

import { type ChildProcess, fork } from 'node:child_process';
import { startGitHost } from '../controller/test/githttp.ts';

export interface HostProcess {
  url: string;
  /** `user:token`. */
  credential: string;
  gitdir: string;
  stop(): Promise<void>;
}

function messageFrom(child: ChildProcess): Promise<Omit<HostProcess, 'stop'>> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as Omit<HostProcess, 'stop'>));
    child.once('exit', (code) => reject(new Error(`the git host ended with ${code}`)));
  });
}

export async function forkGitHost(): Promise<HostProcess> {
  const child = fork(import.meta.filename, ['serve'], { execArgv: [] });
  const { url, credential, gitdir } = await messageFrom(child);
  return {
    url,
    credential,
    gitdir,
    stop: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve());
        child.disconnect();
      }),
  };
}

if (process.argv[2] === 'serve' && process.send) {
  const { url, credential, gitdir, stop } = await startGitHost();
  process.once('disconnect', () => void stop());
  process.send({ url, credential, gitdir });
}
