import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { withRefresh } from './refresh.ts';

/** A repository whose commits have numbers; each moves the folder of its number. */
function scene() {
  const told: string[][] = [];
  const commits: string[] = [];
  const asked: [string | undefined, string][] = [];
  let head = 1;
  const live = () => ({ commit: String(head), deployments: new Map() });
  const repo = {
    commitLive: async () => {
      head += 1;
      return live();
    },
    readLive: async () => live(),
    rerender: async () => {
      head += 1;
      return { commit: String(head), changed: [], kept: 0 };
    },
    async movedFolders(from: string | undefined, to: string) {
      asked.push([from, to]);
      if (to === '9') throw new Error('no such object');
      const first = from === undefined ? Number(to) : Number(from) + 1;
      return Array.from({ length: Number(to) - first + 1 }, (_, i) => `chutes/gpu-${first + i}`);
    },
  };
  const warnings: string[] = [];
  const log = { warn: (text: string) => void warnings.push(text) };
  const link = {
    refreshApplications: (folders: readonly string[], commit: string) => {
      commits.push(commit);
      told.push([...folders]);
    },
  };
  const watched = withRefresh(repo as never, link, log as never) as unknown as typeof repo;
  const settled = () => new Promise((resolve) => setImmediate(resolve));
  return {
    watched,
    told,
    commits,
    asked,
    warnings,
    settled,
    push(commit: number) {
      head = commit;
    },
  };
}

test('the first look tells of the newest commit alone, because the process before may not have', async () => {
  const { watched, told, asked, settled } = scene();
  await watched.readLive();
  await watched.readLive();
  await settled();
  assert.equal(asked, [[undefined, '1']]);
  assert.equal(told, [['chutes/gpu-1']]);
});

test('own commits are told of at once, those of others when they are read', async () => {
  const { watched, told, commits, settled, push } = scene();
  await watched.readLive();
  await watched.commitLive();
  await watched.rerender();
  push(5);
  await watched.readLive();
  await settled();
  assert.equal(told, [['chutes/gpu-1'], ['chutes/gpu-2'], ['chutes/gpu-3'], ['chutes/gpu-4', 'chutes/gpu-5']]);
  assert.equal(commits, ['1', '2', '3', '5']);
});

test('what cannot be compared is told, and made good with the next commit', async () => {
  const { watched, told, warnings, settled, push } = scene();
  await watched.readLive();
  push(9);
  await watched.readLive();
  await settled();
  assert.match(warnings.join(), /no such object/);
  await watched.commitLive();
  await settled();
  assert.is(told.at(-1)?.length, 9);
});

test.run();
