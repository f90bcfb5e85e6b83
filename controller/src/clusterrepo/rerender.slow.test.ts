import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MinerError } from '../domain/errors.ts';
import type { RenderContext } from './livebranch.ts';
import { deploy, render } from './testing/fixture.ts';
import { commitOnce, errorOf } from './testing/testremote.ts';
import { git, specAt, withRepo } from './testing/testrepo.ts';

const spec = specAt(1, 0);
const path = `chutes/${spec.server}/${spec.deploymentId}.yaml`;

/** The renderer as a later version of the miner has it. */
let change: (text: string) => string = (text) => text;
const changing = (of: typeof spec, context: RenderContext) => change(render(of, context));

test('an annotation of a newer renderer reaches a running deployment, and nothing of its Job changes', async () => {
  change = (text) => text;
  await withRepo(
    async (repo, { gitdir }) => {
      await commitOnce(repo, deploy(spec));
      const main = await repo.readMain();
      assert.equal((await repo.rerender(main))?.changed, []);
      // The first annotations are those of the Service.
      change = (text) => text.replace('annotations:\n', 'annotations:\n    chutes-miner.io/note: new\n');
      const made = await repo.rerender(main);
      assert.equal([made?.changed, made?.kept], [[path], 0]);
      const message = git(gitdir, 'log', '-1', '--format=%B', 'live');
      assert.match(message, /^render main [0-9a-f]{7}: 1 file\n/);
      assert.match(message, new RegExp(`^Config-Commit: ${main.commit}$`, 'm'));
      assert.not.match(message, /Decision-Id/);
      assert.equal([...(await repo.readLive()).deployments.values()], [spec]);
      assert.equal((await repo.rerender(main))?.changed, [], 'again there is nothing to do');
      assert.is(git(gitdir, 'rev-list', '--count', 'live'), '3');
    },
    { render: changing },
  );
});

const replacing: [string, (text: string) => string][] = [
  [
    'another environment',
    (text) =>
      text.replace(
        'name: CHUTES_PORT_LOGGING',
        'name: MORE\n              value: "1"\n            - name: CHUTES_PORT_LOGGING',
      ),
  ],
  [
    'an annotation of the pod',
    (text) => text.replace(/template:\n( +)metadata:\n/, 'template:\n$1metadata:\n$1  generateName: x\n'),
  ],
  ['another decision', (text) => text.replaceAll(spec.decisionId, spec.chuteId)],
  ['another node port', (text) => text.replaceAll('31000', '31010')],
];
for (const [what, make] of replacing) {
  test(`a deployment whose file would have ${what} keeps the one that it runs with`, async () => {
    change = (text) => text;
    await withRepo(
      async (repo, { gitdir }) => {
        await commitOnce(repo, deploy(spec));
        const before = git(gitdir, 'rev-parse', 'live');
        change = make;
        const made = await repo.rerender(await repo.readMain());
        assert.equal([made?.changed, made?.kept], [[], 1]);
        assert.is(git(gitdir, 'rev-parse', 'live'), before);
      },
      { render: changing },
    );
  });
}

test('what is rendered from main alone is added, changed and removed with it, and only that', async () => {
  let files: Record<string, string> = {
    'members/a/config.yaml': 'kind: ConfigMap\n',
    'members/a/same.yaml': 'kind: Service\n',
    'control/readme.txt': 'hello\n',
  };
  const renderTree = { folders: ['members', 'control'], render: async () => new Map(Object.entries(files)) };
  await withRepo(
    async (repo, { gitdir }) => {
      await commitOnce(repo, deploy(spec));
      const main = await repo.readMain();
      assert.is((await repo.rerender(main))?.changed.length, 3);
      files = { 'members/a/config.yaml': 'kind: ConfigMap\ndata: {}\n', 'members/a/same.yaml': 'kind: Service\n' };
      assert.equal((await repo.rerender(main))?.changed, ['control/readme.txt', 'members/a/config.yaml']);
      assert.equal(git(gitdir, 'ls-tree', '-r', '--name-only', 'live').split('\n'), [
        path,
        'members/a/config.yaml',
        'members/a/same.yaml',
      ]);
      files = {};
      assert.is((await errorOf(repo.rerender(main))).code, 'E-GUARD', 'nothing at all is no wish');
    },
    { renderTree },
  );
});

const refused: [string, string, string][] = [
  ['a Secret', 'members/a/s.yaml', 'kind: Secret\n'],
  ['a path of another folder', 'chutes/a/s.yaml', 'kind: Job\n'],
  ['a path that leads out', 'members/../x.yaml', 'kind: Job\n'],
  ['a token', 'members/a/t.yaml', `kind: Pod\nx: eyJhbGciOiJIUzI1NiJ9.${'eyJzdWIiOiJhIn0'}.c2lnbmF0dXJlc2lnbmF0dXJl\n`],
];
for (const [what, at, text] of refused) {
  test(`a rendered tree with ${what} is not written`, async () => {
    const renderTree = { folders: ['members'], render: async () => new Map([[at, text]]) };
    await withRepo(
      async (repo, { gitdir }) => {
        const before = git(gitdir, 'rev-parse', 'live');
        const error = await errorOf(repo.rerender(await repo.readMain()));
        assert.instance(error, MinerError);
        assert.is(error.code, 'E-GUARD');
        assert.match(error.message, at);
        assert.is(git(gitdir, 'rev-parse', 'live'), before);
      },
      { renderTree },
    );
  });
}

test('who may not write renders nothing onto live', async () => {
  const renderTree = { folders: ['members'], render: async () => new Map([['members/a.yaml', 'kind: Pod\n']]) };
  await withRepo(
    async (repo, { gitdir }) => {
      const before = git(gitdir, 'rev-parse', 'live');
      assert.is(await repo.rerender(await repo.readMain(), () => false), undefined);
      assert.is(git(gitdir, 'rev-parse', 'live'), before);
    },
    { renderTree },
  );
});

test.run();
