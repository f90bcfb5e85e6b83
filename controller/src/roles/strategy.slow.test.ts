// A strategy pushed to `main` of a real repository: what the next pass decides, and what its commit says.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { makeChute, makeServer, validator } from '../clusterrepo/testing/fixture.ts';
import { git, withRepo } from '../clusterrepo/testing/testrepo.ts';
import type { ClusterRepo } from '../domain/ports.ts';
import { seededRandom } from '../domain/random.ts';
import * as f from '../gepetto/fixtures.ts';
import { type PassPorts, runPass } from '../gepetto/pass.ts';
import { questionOf } from '../gepetto/question.ts';
import { emptyMemory } from '../gepetto/world.ts';
import { createStrategist } from '../strategy/strategist.ts';

const chute = { ...makeChute(0), supportedGpus: ['h100_sxm'] };
const servers = [makeServer(1), makeServer(2), makeServer(3)];

function portsOn(repo: ClusterRepo): PassPorts {
  const strategist = createStrategist({ clock: { now: () => f.now } });
  return {
    clock: { now: () => f.now },
    random: seededRandom(1),
    async look() {
      const { commit, strategy } = await repo.readMain();
      const live = await repo.readLive();
      const utilization = [f.utilization(chute, { targetCount: 20, activeInstanceCount: 0 })];
      const given = f.world({ servers, chutes: [chute], utilization });
      const feeds = given.feeds.get(f.validator);
      const world = { ...given, feeds: new Map(feeds ? [[validator, feeds]] : []), desired: live.deployments };
      return { world, policy: f.policy({ launchesPerPass: 1 }), configCommit: commit, live, strategy };
    },
    advise: (strategy, world) => strategist.advise(strategy, () => questionOf(world, f.now)),
    link: {
      launch: async (specs) => specs.map(() => ({ granted: true, configId: f.id('config') })),
      cancel: async () => {},
      deleteInstance: async () => {},
      releaseJob: async () => {},
    },
    repo,
    store: {
      addLifecycle: async () => {},
      mark: async () => {},
      linkInstance: async () => true,
      markInstance: async () => true,
      saveDecisions: async () => {},
      decisions: async () => [],
    },
    report: (message) => assert.unreachable(message),
  };
}

test('a commit on main changes who decides: at once, back after a mistake, and away again', async () => {
  await withRepo(async (repo, { dir, gitdir }) => {
    const people = join(dir, 'people');
    git(dir, 'clone', '--quiet', '--branch', 'main', gitdir, people);
    mkdirSync(join(people, 'strategy'));
    const file = join(people, 'strategy/strategy.ts');
    function push(text: string | undefined): string {
      if (text === undefined) rmSync(file);
      else writeFileSync(file, text);
      git(people, 'add', '-A');
      git(people, 'commit', '--quiet', '-m', 'Change the strategy');
      git(people, 'push', '--quiet');
      return text === undefined ? '' : git(people, 'rev-parse', 'HEAD:strategy/strategy.ts').slice(0, 8);
    }
    const ports = portsOn(repo);
    async function pass() {
      const { committed, held } = await runPass(ports, emptyMemory);
      const body = git(gitdir, 'log', '-1', '--format=%b', 'live');
      return { server: committed[0]?.spec.server, held, strategy: /; strategy (.*)$/m.exec(body)?.[1] };
    }
    assert.equal(await pass(), { server: 'gpu-0001', held: [], strategy: 'default' });
    const prefer = (name: string) =>
      `import type { Place } from './hooks.ts';\nexport const place: Place = ({ server }) => (server.name === '${name}' ? 2 : 1);\n`;
    for (const name of ['gpu-0003', 'gpu-0002']) {
      const id = push(prefer(name));
      assert.equal(await pass(), { server: name, held: [], strategy: `strategy/strategy.ts ${id}` });
    }
    const bad = push('export const place = () => { throw new Error("oh"); };');
    const fallen = await pass();
    assert.equal([fallen.server, fallen.strategy], ['gpu-0001', `default instead of strategy/strategy.ts ${bad}`]);
    assert.match(fallen.held[0] ?? '', /the default strategy decides: place failed for chute-0 on gpu-0001: Error: oh/);
    push(undefined);
    assert.equal(await pass(), { server: 'gpu-0001', held: [], strategy: 'default' });
  });
});

test.run();
