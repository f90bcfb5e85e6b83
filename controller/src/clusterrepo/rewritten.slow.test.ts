import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { deploy, remove } from './testing/fixture.ts';
import { atHost, commitOnce, errorOf, forget, pushNote } from './testing/testremote.ts';
import { git, specAt } from './testing/testrepo.ts';

const run = promisify(execFile);
/** The name of a tree without files. */
const emptyTree = '4b825dc642cb6eb9a060e54bf8d69288fbee4904';

/** Run the command that a message names, as a person with credentials does. */
async function runNamed(message: string): Promise<void> {
  const [, dir = '', rest = ''] = /with: git -C (\S+) (push --force \S+ \S+)/.exec(message) ?? [];
  const helper = 'credential.helper=!f() { echo username=miner; echo password=hunter2-token-of-the-test; }; f';
  await run('git', ['-C', dir, '-c', helper, ...rest.split(' ')], { timeout: 60_000 });
}

const emptied = [
  {
    name: 'removed',
    empty: (clone: string) => git(clone, 'push', '--quiet', 'origin', ':live'),
    said: /was removed/,
  },
  {
    name: 'emptied by other history',
    empty(clone: string) {
      const tree = git(clone, 'hash-object', '-w', '-t', 'tree', '/dev/null');
      const commit = git(clone, 'commit-tree', tree, '-m', 'Nothing');
      git(clone, 'push', '--quiet', '--force', 'origin', `${commit}:refs/heads/live`);
    },
    said: /was emptied by a push that replaced its history/,
  },
  {
    name: 'taken back to its first commit',
    empty(clone: string) {
      const first = git(clone, 'rev-list', '--max-parents=0', 'origin/live');
      git(clone, 'push', '--quiet', '--force', 'origin', `${first}:refs/heads/live`);
    },
    said: /was emptied by a push that replaced its history/,
  },
];

for (const { name, empty, said } of emptied) {
  test(`a live that a stranger has ${name} is no wish: it is reported once, nothing is read or written, and the named command mends it`, async () => {
    await atHost(async ({ open, clone, problems, dir }) => {
      const repo = await open('one');
      const live = await commitOnce(repo, deploy(specAt(1, 0)), deploy(specAt(1, 1)));
      empty(clone('stranger'));
      await repo.refresh();
      await repo.refresh();
      assert.is(problems.length, 1, problems.join('\n'));
      assert.match(problems[0] ?? '', said);
      for (const refused of [repo.readLive(), commitOnce(repo, deploy(specAt(2, 0)))]) {
        const error = await errorOf(refused);
        assert.is(error.code, 'E-GIT-REPOSITORY');
        assert.match(error.message, live.commit);
      }
      // The configuration can still be read, and a restart knows it too.
      await repo.readMain();
      await repo.close();
      const again = await open('one');
      await errorOf(again.readLive());
      await runNamed(problems[0] ?? '');
      await again.refresh();
      assert.equal(await again.readLive(), live);
      // A store that is thrown away takes what is there for meant, but for a branch that is not there at all.
      empty(clone('stranger-again'));
      forget(dir, 'one');
      if (name === 'removed') assert.match((await errorOf(open('one'))).message, /tag live-start/);
      else assert.is((await (await open('one')).readLive()).deployments.size, 0);
    });
  });
}

const wished = [
  {
    what: 'the deployments',
    empty(person: string) {
      git(person, 'rm', '-r', '--quiet', 'chutes');
      git(person, 'commit', '--quiet', '-m', 'Stop everything');
    },
  },
  {
    what: 'every file, by a tree that is in no store',
    empty(person: string) {
      const commit = git(person, 'commit-tree', emptyTree, '-p', 'HEAD', '-m', 'Nothing');
      git(person, 'reset', '--quiet', '--soft', commit);
    },
  },
];

for (const { what, empty } of wished) {
  test(`${what} that a person removes in an ordinary commit: a wish, and the next decision lands on it`, async () => {
    await atHost(async ({ open, clone, problems }) => {
      const repo = await open('one');
      await commitOnce(repo, deploy(specAt(1, 0)));
      const person = clone('person');
      git(person, 'checkout', '--quiet', 'live');
      empty(person);
      git(person, 'push', '--quiet', 'origin', 'live');
      await repo.refresh();
      assert.is((await repo.readLive()).deployments.size, 0);
      assert.equal(problems, []);
      assert.is((await commitOnce(repo, deploy(specAt(1, 1)))).deployments.size, 1);
    });
  });
}

test('a branch that was taken back or got another history is followed and reported, live as well as main', async () => {
  await atHost(async ({ open, clone, problems }) => {
    const repo = await open('one');
    await commitOnce(repo, deploy(specAt(1, 0)));
    await commitOnce(repo, deploy(specAt(1, 1)));
    const stranger = clone('stranger');
    git(stranger, 'push', '--quiet', '--force', 'origin', 'origin/live^:refs/heads/live');
    await repo.refresh();
    assert.is((await repo.readLive()).deployments.size, 1);
    assert.match(problems.at(-1) ?? '', /live.*taken back to an older commit/);
    const tree = git(stranger, 'rev-parse', 'origin/live:');
    const other = git(stranger, 'commit-tree', tree, '-m', 'Same files');
    git(stranger, 'push', '--quiet', '--force', 'origin', `${other}:refs/heads/live`);
    await repo.refresh();
    assert.is(problems.length, 1, 'the same files under another commit are nothing to report');
    assert.is((await repo.readLive()).commit, other);
    git(
      stranger,
      'commit',
      '--quiet',
      '--amend',
      '--no-edit',
      '--date=2020-01-01T00:00:00Z',
      '--allow-empty',
      '-m',
      'Anew',
    );
    pushNote(clone('person'), 'main', 'hello');
    await repo.refresh();
    git(stranger, 'push', '--quiet', '--force', 'origin', 'HEAD:refs/heads/main');
    await repo.refresh();
    assert.match(problems.at(-1) ?? '', /branch main .* has another history now/);
    assert.is((await repo.readMain()).commit, git(stranger, 'rev-parse', 'HEAD'));
    await commitOnce(repo, remove(specAt(1, 0)));
  });
});

test('a main that was removed is reported, and what it said last holds', async () => {
  await atHost(async ({ host, open, clone, problems }) => {
    const repo = await open('one');
    const before = await repo.readMain();
    git(host.gitdir, 'symbolic-ref', 'HEAD', 'refs/heads/live');
    git(clone('stranger'), 'push', '--quiet', 'origin', ':main');
    await repo.refresh();
    assert.match(problems[0] ?? '', /branch main .* was removed/);
    assert.equal(await repo.readMain(), before);
    assert.is(git(host.gitdir, 'for-each-ref', 'refs/heads/main'), '');
    await runNamed(problems[0] ?? '');
    await repo.refresh();
    assert.equal(await repo.readMain(), before);
  });
});

test.run();
