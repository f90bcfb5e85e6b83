import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import type { OpenClusterRepo } from './clusterrepo.ts';
import { deploy } from './testing/fixture.ts';
import { atHost, commitOnce, commitSoon, errorOf, forget, pushNote } from './testing/testremote.ts';
import { git, serverConfigOf, specAt } from './testing/testrepo.ts';

const idOf = (server: number, slot: number) => specAt(server, slot).deploymentId;

test('an empty remote gets the template on main, nothing on live, and the next store copies both', async () => {
  await atHost(async ({ host, open, dir, problems }) => {
    const repo = await open('one');
    assert.is(git(host.gitdir, 'ls-tree', '-r', '--name-only', 'main'), 'README.md\nminer.yaml\nservers/example.yaml');
    assert.is(git(host.gitdir, 'ls-tree', '-r', 'live'), '');
    await commitOnce(repo, deploy(specAt(1, 0)));
    const second = await open('two', { template: join(dir, 'absent') });
    assert.equal(await second.readLive(), await repo.readLive());
    assert.is((await second.readMain()).commit, git(host.gitdir, 'rev-parse', 'main'));
    assert.is(git(host.gitdir, 'rev-list', '--count', 'main'), '1');
    assert.is(git(host.gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
    assert.equal(problems, []);
  });
});

test('two stores that start on an empty remote at once agree on its first commits', async () => {
  await atHost(async ({ host, open }) => {
    const [a, b] = await Promise.all([open('one'), open('two')]);
    await Promise.all([a.refresh(), b.refresh()]);
    assert.is((await a.readLive()).commit, (await b.readLive()).commit);
    assert.is((await a.readMain()).commit, (await b.readMain()).commit);
    assert.is(git(host.gitdir, 'rev-list', '--count', 'live'), '1');
  });
});

test('a proposal replaces what stands on the host, whoever proposed it', async () => {
  await atHost(async ({ host, open, problems }) => {
    const propose = async (repo: OpenClusterRepo, slot: number) => {
      const [main, live] = [await repo.readMain(), await repo.readLive()];
      return repo.propose({ decisions: [deploy(specAt(1, slot))], configCommit: main.commit, base: live.commit });
    };
    const repo = await open('one');
    await propose(repo, 0);
    const first = await propose(repo, 1);
    assert.is(git(host.gitdir, 'rev-parse', 'proposed'), first);
    const second = await propose(await open('two'), 2);
    assert.is(git(host.gitdir, 'rev-parse', 'proposed'), second);
    const third = await propose(repo, 3);
    assert.is(git(host.gitdir, 'rev-parse', 'proposed'), third);
    assert.is(git(host.gitdir, 'rev-list', '--count', 'live..proposed'), '1');
    assert.equal(problems, []);
  });
});

test('what a person reverts on live and pins on main is seen by the next look, and onMoved tells of it', async () => {
  let moved = 0;
  await atHost(async ({ open, clone }) => {
    const repo = await open('one', { onMoved: () => moved++ });
    await commitOnce(repo, deploy(specAt(1, 0)));
    await commitOnce(repo, deploy(specAt(1, 1)));
    const before = moved;
    const person = clone('person');
    git(person, 'checkout', '--quiet', 'live');
    git(person, 'revert', '--no-edit', 'HEAD');
    git(person, 'push', '--quiet', 'origin', 'live');
    pushNote(person, 'main', 'hello');
    assert.is((await repo.readLive()).deployments.size, 2);
    await repo.refresh();
    assert.equal([...(await repo.readLive()).deployments.keys()], [idOf(1, 0)]);
    assert.is((await repo.readMain()).commit, git(person, 'rev-parse', 'main'));
    assert.is(moved - before, 2);
  });
});

test('the remote is looked at by itself, and its absence and return are each told once', async () => {
  let next: () => void = () => undefined;
  const sleepOnce = (_ms: number, signal?: AbortSignal) =>
    new Promise<void>((resolve) => {
      next = resolve;
      signal?.addEventListener('abort', () => resolve());
    });
  await atHost(async ({ host, open, clone, problems }) => {
    const clock = { now: Date.now, sleep: sleepOnce };
    const repo = await open('one', { clock });
    async function pass(): Promise<void> {
      const waiting = next;
      waiting();
      while (next === waiting) await sleep(10);
    }
    pushNote(clone('person'), 'live', 'hello');
    await pass();
    assert.is((await repo.readLive()).commit, git(host.gitdir, 'rev-parse', 'live'));
    await host.down();
    await pass();
    await pass();
    await host.start();
    await pass();
    await pass();
    assert.is(problems.length, 2, problems.join('\n'));
    assert.match(problems[0] ?? '', /git remote http:.*(refused|connect)/);
    assert.match(problems[1] ?? '', /answers again/);
  });
});

test('a commit on a branch that somebody pushed to is refused with what was found, and the retry lands on top', async () => {
  await atHost(async ({ host, open, clone }) => {
    const repo = await open('one');
    const person = clone('person');
    pushNote(person, 'live', 'hello');
    const found = git(person, 'rev-parse', 'live');
    const error = await errorOf(commitOnce(repo, deploy(specAt(1, 0))));
    assert.is(error.code, 'E-GIT-CONFLICT');
    assert.is(error.detail?.found, found);
    assert.is(git(host.gitdir, 'rev-parse', 'live'), found);
    await commitOnce(repo, deploy(specAt(1, 0)));
    assert.is(git(host.gitdir, 'rev-parse', 'live^'), found);
    pushNote(person, 'main', 'hello');
    await repo.writeServer(serverConfigOf(3));
    assert.is(git(host.gitdir, 'ls-tree', '-r', '--name-only', 'main', 'servers', 'notes').split('\n').length, 3);
    assert.is(git(host.gitdir, 'fsck', '--strict', '--full', '--no-dangling'), '');
  });
});

test('the controller writes servers while Gepetto writes live, from stores of their own, and both see all of it', async () => {
  await atHost(async ({ open }) => {
    const [controller, gepetto] = [await open('controller'), await open('gepetto')];
    const rounds = [1, 2, 3, 4, 5];
    await Promise.all([
      (async () => {
        for (const n of rounds) await controller.writeServer(serverConfigOf(n));
      })(),
      (async () => {
        for (const n of rounds) await commitSoon(gepetto, () => [deploy(specAt(n, 0))]);
      })(),
    ]);
    await Promise.all([controller.refresh(), gepetto.refresh()]);
    for (const repo of [controller, gepetto]) {
      assert.is((await repo.readMain()).servers.size, rounds.length);
      assert.is((await repo.readLive()).deployments.size, rounds.length);
    }
  });
});

test('a push whose answer was lost has landed, once', async () => {
  await atHost(async ({ host, open }) => {
    const repo = await open('one');
    host.fault = { kind: 'lose-answer' };
    const live = await commitOnce(repo, deploy(specAt(1, 0)));
    host.fault = { kind: 'none' };
    assert.is(git(host.gitdir, 'rev-parse', 'live'), live.commit);
    assert.is((await repo.readLive()).commit, live.commit);
    assert.is((await commitOnce(repo, deploy(specAt(1, 0)))).commit, live.commit);
    assert.is(git(host.gitdir, 'rev-list', '--count', 'live'), '2');
  });
});

test('a push that arrives while its writer looks for it counts as landed', async () => {
  await atHost(async ({ host, open }) => {
    const repo = await open('one');
    host.fault = { kind: 'late', ms: 700 };
    const live = await commitOnce(repo, deploy(specAt(1, 0)));
    assert.is(git(host.gitdir, 'rev-parse', 'live'), live.commit);
  });
});

test('a push that arrives long after it was given up makes the retry no second commit', async () => {
  await atHost(async ({ host, open }) => {
    const repo = await open('one');
    host.fault = { kind: 'late', ms: 6_000 };
    assert.is((await errorOf(commitOnce(repo, deploy(specAt(1, 0))))).code, 'E-GIT-REPOSITORY');
    host.fault = { kind: 'none' };
    while (git(host.gitdir, 'rev-list', '--count', 'live') !== '2') await sleep(50);
    const first = git(host.gitdir, 'rev-parse', 'live');
    await commitSoon(repo, () => [deploy(specAt(1, 0)), deploy(specAt(1, 1))]);
    assert.is(git(host.gitdir, 'rev-parse', 'live^'), first);
    assert.is((await repo.readLive()).deployments.size, 2);
  });
});

for (const fault of [{ kind: 'cut' }, { kind: 'status', status: 500 }] as const) {
  test(`a host that fails (${fault.kind}) leaves everything as it was, and the next try works`, async () => {
    await atHost(async ({ host, open }) => {
      const repo = await open('one');
      const before = await repo.readLive();
      host.fault = fault;
      const error = await errorOf(commitOnce(repo, deploy(specAt(1, 0))));
      assert.is(error.code, 'E-GIT-REPOSITORY', error.message);
      assert.match(error.message, host.url);
      assert.equal(await repo.readLive(), before);
      host.fault = { kind: 'none' };
      await commitOnce(repo, deploy(specAt(1, 0)));
      assert.is(git(host.gitdir, 'rev-list', '--count', 'live'), '2');
    });
  });
}

test('a host that refuses a branch is quoted, and it is no conflict', async () => {
  await atHost(async ({ host, open }) => {
    const repo = await open('one');
    writeFileSync(join(host.gitdir, 'hooks', 'update'), '#!/bin/sh\necho protected branch >&2\nexit 1\n', {
      mode: 0o755,
    });
    const error = await errorOf(commitOnce(repo, deploy(specAt(1, 0))));
    assert.is(error.code, 'E-GIT-REPOSITORY');
    assert.match(error.message, /refused live: .*hook declined/);
  });
});

test('wrong credentials are refused with the URL and without the token, and a replaced file works at once', async () => {
  await atHost(async ({ host, open, credentialFile }) => {
    writeFileSync(credentialFile, 'miner:wrong-secret-token\n');
    const error = await errorOf(open('one'));
    assert.is(error.code, 'E-GIT-REPOSITORY');
    assert.match(error.message, host.url);
    assert.match(error.message, /credentials were not accepted/);
    assert.not.match(error.message, /wrong-secret/);
    writeFileSync(credentialFile, host.credential);
    await open('one');
    const without = await errorOf(open('two', {}, { credentialFile: undefined }));
    assert.match(without.message, /none are configured/);
  });
});

test('a start without the remote goes on with the copy and says so; without a copy it is refused', async () => {
  await atHost(async ({ host, open, dir, problems }) => {
    const first = await open('one');
    const live = await commitOnce(first, deploy(specAt(1, 0)));
    await first.close();
    await host.down();
    const repo = await open('one');
    assert.match(problems[0] ?? '', /going on with the copy/);
    assert.equal(await repo.readLive(), live);
    assert.is((await repo.readMain()).servers.size, 0);
    const error = await errorOf(commitOnce(repo, deploy(specAt(1, 1))));
    assert.is(error.code, 'E-GIT-REPOSITORY');
    assert.is((await errorOf(open('two'))).code, 'E-GIT-REPOSITORY');
    await host.start();
    await commitOnce(repo, deploy(specAt(1, 1)));
    await repo.close();
    forget(dir, 'one');
    assert.is((await (await open('one')).readLive()).deployments.size, 2);
  });
});

function commandLines(): string[] {
  const lines: string[] = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      lines.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' '));
    } catch {
      // It ended meanwhile.
    }
  }
  return lines;
}

function filesBelow(dir: string): string[] {
  return readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(dir, name))
    .filter((path) => statSync(path).isFile());
}

test('the token is on no command line, in no file of the store and in no error, also while a push is under way', async () => {
  await atHost(async ({ host, open, dir }) => {
    const token = host.credential.split(':')[1] ?? '';
    const repo = await open('one', {}, { timeoutMs: 3_000 });
    host.fault = { kind: 'slow', ms: 600_000 };
    const refused = errorOf(commitOnce(repo, deploy(specAt(1, 0))));
    let done = false;
    const ended = refused.finally(() => {
      done = true;
    });
    const seen = new Set<string>();
    while (!done) {
      for (const line of commandLines()) seen.add(line);
      await sleep(20);
    }
    assert.ok([...seen].some((line) => line.includes(host.url)));
    assert.equal(
      [...seen].filter((line) => line.includes(token)),
      [],
    );
    const error = await ended;
    assert.instance(error, MinerError);
    assert.not.match(JSON.stringify([error.message, error.detail, String(error.cause)]), token);
    const holding = filesBelow(join(dir, 'one.git')).filter((path) => readFileSync(path).includes(token));
    assert.equal(holding, []);
  });
});

test.run();
