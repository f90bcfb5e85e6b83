import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deploy } from './testing/fixture.ts';
import { commitOnce } from './testing/testremote.ts';
import { git, specAt, withRepo } from './testing/testrepo.ts';

const tree = new Map([
  ['argocd/settings.yaml', 'a: 1\n'],
  ['control/miner/controller.yaml', 'a: 1\n'],
  ['members/gpu-1/agent.yaml', 'a: 1\n'],
  ['members/gpu-2/agent.yaml', 'a: 1\n'],
]);

test('folders that differ between two commits are named as Argo CD applies them, and no others', async () => {
  const files = new Map(tree);
  const renderTree = { folders: ['argocd', 'control', 'members'], render: async () => files };
  await withRepo(
    async (repo) => {
      const start = (await repo.readLive()).commit;
      const first = (await repo.rerender(await repo.readMain()))?.commit ?? '';
      const all = ['argocd', 'control', 'members/gpu-1', 'members/gpu-2'];
      assert.equal(await repo.movedFolders(start, first), all);
      const { commit } = await commitOnce(repo, deploy(specAt(1, 0)));
      const deployed = `chutes/${specAt(1, 0).server}`;
      assert.equal(await repo.movedFolders(first, commit), [deployed]);
      assert.equal(await repo.movedFolders(undefined, commit), [deployed], 'what the newest commit changed');
      files.set('members/gpu-2/agent.yaml', 'a: 2\n');
      files.delete('members/gpu-1/agent.yaml');
      const last = (await repo.rerender(await repo.readMain()))?.commit ?? '';
      assert.equal(await repo.movedFolders(commit, last), ['members/gpu-1', 'members/gpu-2']);
      assert.equal(await repo.movedFolders(start, last), ['argocd', deployed, 'control', 'members/gpu-2'].sort());
      assert.equal(await repo.movedFolders(last, last), []);
    },
    { renderTree },
  );
});

test('a revert by a person names the folder that it changes', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    await commitOnce(repo, deploy(specAt(1, 0)));
    const before = (await repo.readLive()).commit;
    const person = join(dir, 'person');
    git(dir, 'clone', '--quiet', '--branch', 'live', gitdir, person);
    writeFileSync(join(person, 'note.txt'), 'a note at the top\n');
    git(person, 'revert', '--no-edit', 'HEAD');
    git(person, 'push', '--quiet', 'origin', 'live');
    assert.equal(await repo.movedFolders(before, (await repo.readLive()).commit), [`chutes/${specAt(1, 0).server}`]);
  });
});

test.run();
