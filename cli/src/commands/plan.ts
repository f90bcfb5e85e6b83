// `plan`: what Gepetto would decide. Asked of the miner (`--dry-run`), or worked out here for a saved world (`--world`). The miner
// decides by itself, so nothing is carried out.

import { writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Advice } from '@miner/controller/domain/advice.ts';
import type { Decision } from '@miner/controller/domain/decision.ts';
import { MinerError, messageOf } from '@miner/controller/domain/errors.ts';
import type { Situation } from '@miner/controller/gepetto/worldfile.ts';
import { type CommandModule, type Context, flag, text } from '../command.ts';
import { type DecisionAnswer, decisionView, type PlanAnswer, readPlan } from '../decisions.ts';
import { usageError } from '../errors.ts';
import { readStrategy } from '../strategy-file.ts';

async function show({ out }: Context, { decisions, held, blocked }: PlanAnswer): Promise<void> {
  await out.show({
    value: { decisions, held, blocked },
    names: decisions.map(({ deployment_id }) => deployment_id),
    table(look) {
      const waits = [...held.map((sentence) => `held back: ${sentence}`), ...blocked];
      if (decisions.length === 0) return [...waits, 'nothing would be decided'].join('\n');
      return [...waits, ...decisions.map((one) => decisionView(one, look))].join('\n\n');
    },
  });
}

async function save(context: Context, file: string): Promise<void> {
  const world = await (await context.miner()).json('GET', '/plan/world', { purpose: 'management' });
  await writeFile(file, `${JSON.stringify(world, null, 1)}\n`).catch((error: unknown) => {
    throw usageError(`--save-world: ${file} cannot be written: ${error instanceof Error ? error.message : error}`);
  });
  context.out.note(`saved; chutes-miner plan --world ${file} plans it again`);
}

/** What a strategy file says about the saved world; without one, what was said when it was saved. */
async function adviceFor({ world, now, memory }: Situation, file: string | undefined): Promise<Advice | undefined> {
  if (file === undefined) return memory.advice;
  const { startChild } = await import('@miner/controller/strategy/child.ts');
  const { questionOf } = await import('@miner/controller/gepetto/question.ts');
  const { adviceOf } = await import('@miner/controller/domain/advice.ts');
  const code = await readStrategy(file);
  let child: Awaited<ReturnType<typeof startChild>> | undefined;
  try {
    child = await startChild(code);
    return adviceOf(await child.ask(questionOf(world, now)), file);
  } catch (error) {
    throw new MinerError('E-STRATEGY', `the strategy ${file} cannot be used: ${messageOf(error)}`, { cause: error });
  } finally {
    child?.close();
  }
}

async function planFile(file: string, strategy: string | undefined): Promise<PlanAnswer> {
  const { readDocument } = await import('@miner/simulator/trace/read.ts');
  const { situationOf } = await import('@miner/controller/gepetto/worldfile.ts');
  const { worldFile } = await import('@miner/controller/gepetto/worldshape.ts');
  const { decisionsOf, plan } = await import('@miner/controller/gepetto/plan.ts');
  const { seededRandom } = await import('@miner/controller/domain/random.ts');
  const { decisionShape } = await import('@miner/controller/api/shapes.ts');
  const situation = situationOf(readDocument(dirname(file), basename(file), worldFile).value);
  const { world, policy, now, memory } = situation;
  const advice = await adviceFor(situation, strategy);
  // The same world gives the same plan, ids included.
  const planned = plan(world, policy, { now: () => now }, seededRandom(1), memory, advice);
  const shaped = (decision: Decision): DecisionAnswer =>
    decisionShape({ decisionId: decision.decisionId, decidedAt: now, decision, commit: undefined });
  const blocked = planned.blocked.map(({ sentence }) => sentence);
  return { decisions: decisionsOf(planned).map(shaped), held: planned.held, blocked };
}

async function run(context: Context): Promise<undefined> {
  const { values } = context;
  const file = text(values, 'world');
  const saveTo = text(values, 'saveWorld');
  const strategy = text(values, 'strategy');
  const asked = [flag(values, 'dryRun'), file, saveTo].filter(Boolean).length;
  if (asked !== 1) {
    throw usageError(
      'plan needs one of --dry-run, --world and --save-world',
      'plan only shows: the miner decides by itself',
    );
  }
  if (strategy !== undefined && file === undefined) {
    throw usageError('--strategy goes with --world', 'save one first: chutes-miner plan --save-world now.json');
  }
  if (saveTo !== undefined) return void (await save(context, saveTo));
  await show(context, file === undefined ? await readPlan(await context.miner()) : await planFile(file, strategy));
}

export const command: CommandModule = {
  options: [
    { flags: '--dry-run', description: 'ask the miner what it would decide now' },
    { flags: '--world <file>', description: 'plan a saved world here, without the miner (see docs/world-file.md)' },
    { flags: '--save-world <file>', description: 'save what the miner sees now, to plan it with --world' },
    { flags: '--strategy <file>', description: 'with --world: let this strategy.ts advise the plan' },
    { flags: '--json', description: 'the same as -o json' },
  ],
  examples: [
    'plan --dry-run',
    'plan --save-world now.json                                # a real case, to look at in peace',
    'plan --world now.json --json | jq .decisions[].numbers',
    'plan --world now.json --strategy strategy/strategy.ts     # what a strategy of your own would change',
  ],
  run,
};
