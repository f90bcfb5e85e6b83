// `npm run e2e:sabotage [-- PART …]`: shows that every scene can fail. Breaks the product on purpose, one cause after the other, runs the scene
// that is about it, and wants it to fail with the right complaint; PART picks scenes. About half an hour on two cores.

import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { currentProgram, git } from '../bootstrap.ts';
import { writeServerFile } from '../miner.ts';
import { closeScene, openScene, patience, type Scene, type Suite, satisfied, until, wanted } from '../scene.ts';
import { deploying } from '../scenes/deploying.ts';
import { disturbing } from '../scenes/disturbing.ts';
import { recovering } from '../scenes/recovering.ts';
import { settingUp } from '../scenes/settingup.ts';
import { copySources } from '../sources.ts';
import { atTheStart, type Cause, causes } from './causes.ts';

/** What is broken shows soon; the scenes themselves wait longer, for slow machines. */
const sabotagePatienceMs = 60_000;
const tidyMs = 180_000;

type Play = (scene: Scene) => unknown;

const scenes = new Map<string, Play>();
const collect = ((name: string, play: Play) => void scenes.set(name, play)) as unknown as Suite;
settingUp(collect);
const setUpNames = [...scenes.keys()];
deploying(collect);
disturbing(collect);
recovering(collect);

const counts = { passed: 0, failed: 0 };

/** Undefined when it passed. */
async function complaintOf(play: () => unknown): Promise<string | undefined> {
  try {
    await play();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function judge(name: string, { what, seen }: Omit<Cause, 'scene'>, complaint: string | undefined): void {
  const caught = complaint !== undefined && seen.test(complaint);
  counts[caught ? 'passed' : 'failed'] += 1;
  const said =
    complaint === undefined
      ? 'IT PASSES ALL THE SAME'
      : `${caught ? '' : 'OTHER COMPLAINT: '}${complaint.split('\n')[0]}`;
  console.log(`${caught ? 'ok  ' : 'FAIL'} ${name}\n       ${what}: ${said}`);
}

/** The sources in `dir` with the cause, for as long as `run` takes. */
async function sabotaged(dir: string, { edits }: Omit<Cause, 'scene'>, run: () => Promise<void>): Promise<void> {
  try {
    for (const { file, find, replace } of edits) {
      const text = readFileSync(join(dir, file), 'utf8');
      if (text.split(find).length !== 2) throw new Error(`${file} does not hold once: ${find}`);
      writeFileSync(join(dir, file), text.replace(find, replace));
    }
    await run();
  } finally {
    for (const { file } of edits) copyFileSync(join(currentProgram, file), join(dir, file));
  }
}

/** Nothing runs, nothing is wanted, and everything is as after the setting up. */
async function tidy(scene: Scene): Promise<void> {
  const { miner, fleet } = scene;
  for (const chuteId of wanted) satisfied(scene, chuteId);
  wanted.clear();
  miner.configure(() => undefined);
  const { servers } = await miner.status();
  for (const { name } of servers) {
    await fleet.server(name).plane.kube.patch('v1/nodes', name, { spec: { unschedulable: null } });
    writeServerFile(miner, name);
  }
  const tidied = await complaintOf(() =>
    until(
      'nothing runs',
      async () => {
        const { deployments } = await miner.status();
        const alive = deployments.filter(({ phase }) => phase !== 'gone' && phase !== 'draining');
        for (const { deploymentId } of alive)
          await miner.api.delete(`/deployments/${deploymentId}`).catch(() => undefined);
        return deployments.every(({ phase }) => phase === 'gone');
      },
      tidyMs,
    ),
  );
  if (tidied !== undefined) console.log(`     (not tidied: ${tidied.split('\n')[0]})`);
}

/** A server that was added without a file goes again. */
async function untilAsMainSays({ miner, fleet }: Scene): Promise<void> {
  await until('the inventory is what main says', async () => {
    const files = git(fleet.git.gitdir, 'ls-tree', '--name-only', 'main', 'servers/');
    return (await miner.status()).servers.every(({ name }) => files.includes(`servers/${name}.yaml`));
  });
}

async function play(scene: Scene, dir: string, name: string, cause: Cause): Promise<void> {
  const { miner } = scene;
  await sabotaged(dir, cause, async () => {
    await miner.roll(dir);
    await cause.before?.(scene);
    patience.ms = sabotagePatienceMs;
    const complaint = await complaintOf(() => scenes.get(name)?.(scene));
    patience.ms = tidyMs;
    judge(name, cause, complaint);
  });
  await cause.mend?.(scene);
  await miner.roll(currentProgram);
  if (setUpNames.includes(name)) await untilAsMainSays(scene);
  else await tidy(scene);
}

async function atFirst(name: string): Promise<void> {
  const scene = {} as Scene;
  try {
    const complaint = await complaintOf(() =>
      openScene(scene, {
        program(dir) {
          const sources = copySources(join(dir, 'sabotaged'));
          for (const { file, find, replace } of atTheStart.edits) {
            const text = readFileSync(join(sources, file), 'utf8');
            writeFileSync(join(sources, file), text.replace(find, replace));
          }
          return sources;
        },
      }),
    );
    judge(name, atTheStart, complaint);
  } finally {
    await closeScene(scene, false);
  }
}

const parts = process.argv.slice(2);
const isAsked = (name: string) => parts.length === 0 || parts.some((part) => name.includes(part));
const [first = '', ...others] = setUpNames;
if (isAsked(first)) await atFirst(first);
const scene = {} as Scene;
try {
  await openScene(scene);
  const dir = copySources(join(scene.dir, 'sabotaged'));
  const names = [...scenes.keys()].filter((name) => name !== first);
  const unknown = causes.find((cause) => !names.some((name) => name.startsWith(cause.scene)));
  if (unknown) throw new Error(`no scene begins with: ${unknown.scene}`);
  for (const name of others) {
    for (const cause of causes.filter((one) => name.startsWith(one.scene) && isAsked(name)))
      await play(scene, dir, name, cause);
    patience.ms = tidyMs;
    await scenes.get(name)?.(scene);
  }
  for (const cause of causes) {
    const name = names.find((one) => one.startsWith(cause.scene)) ?? '';
    if (!setUpNames.includes(name) && isAsked(name)) await play(scene, dir, name, cause);
  }
  const bare = names.filter((name) => !causes.some((cause) => name.startsWith(cause.scene)));
  for (const name of bare) console.log(`FAIL ${name}\n       nothing breaks it on purpose`);
  counts.failed += bare.length;
} finally {
  await closeScene(scene, process.env.E2E_KEEP !== undefined);
}
console.log(`${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 ? 0 : 1);
