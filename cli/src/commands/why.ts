// `why`: the decisions about a deployment, a chute or a server, found by id, name or the start of one.

import { type CommandModule, type Context, number } from '../command.ts';
import {
  type DecisionAnswer,
  type DecisionQuery,
  decisionView,
  readDecisions,
  readWhyNot,
  whyNotView,
} from '../decisions.ts';
import { notFoundError, usageError } from '../errors.ts';
import { readServers } from '../inventory.ts';
import { byName } from '../output/format.ts';
import { readStatus } from './status.ts';

const defaultLimit = 5;

interface Subject {
  kind: 'deployment' | 'chute' | 'server';
  name: string;
  /** Names and ids it can be found by. */
  keys: readonly string[];
  query: DecisionQuery;
}

function limit(value: string): number {
  const count = Number(value);
  if (!Number.isInteger(count) || count < 1 || count > 1000) throw new Error('allowed: a whole number from 1 to 1000');
  return count;
}

async function knownSubjects(context: Context): Promise<Subject[]> {
  const [status, servers] = [await readStatus(context), await readServers(await context.miner())];
  const deployments = new Map(status.deployments.map((one) => [one.deploymentId, one]));
  const chutes = new Map(status.deployments.map(({ chuteId, chuteName }) => [chuteId, chuteName]));
  for (const { deployments: placed } of servers) {
    for (const one of placed) if (!chutes.has(one.chute_id)) chutes.set(one.chute_id, one.chute?.name ?? one.chute_id);
  }
  return [
    ...servers.map(({ name, server_id }) => ({
      kind: 'server' as const,
      name,
      keys: [name, server_id],
      query: { server: name },
    })),
    ...[...chutes].map(([id, name]) => ({ kind: 'chute' as const, name, keys: [name, id], query: { chute_id: id } })),
    ...[...deployments.values()].map(({ deploymentId: id, chuteName, server }) => ({
      kind: 'deployment' as const,
      name: `${chuteName} on ${server} (${id})`,
      keys: [id],
      query: { deployment_id: id },
    })),
  ];
}

/** An exact name wins over the start of one. */
function matches(subjects: readonly Subject[], wanted: string): Subject[] {
  const exact = subjects.filter(({ keys }) => keys.includes(wanted));
  return exact.length > 0 ? exact : subjects.filter(({ keys }) => keys.some((key) => key.startsWith(wanted)));
}

/** What is no longer in the inventory still has its decisions, under its full id or name. */
async function fromHistory(context: Context, wanted: string, count: number): Promise<DecisionAnswer[]> {
  const miner = await context.miner();
  const isUuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(wanted);
  const queries: DecisionQuery[] = isUuid ? [{ deployment_id: wanted }, { chute_id: wanted }] : [{ server: wanted }];
  for (const query of queries) {
    const found = await readDecisions(miner, query, count);
    if (found.length > 0) return found;
  }
  return [];
}

async function run(context: Context): Promise<undefined> {
  const wanted = context.args[0] ?? '';
  const count = number(context.values, 'limit') ?? defaultLimit;
  const found = matches(await knownSubjects(context), wanted);
  const [subject] = found;
  if (found.length > 1) {
    const names = found
      .slice(0, 8)
      .map(({ kind, name }) => `${kind} ${name}`)
      .sort(byName);
    throw usageError(`"${wanted}" may mean ${found.length} things: ${names.join('; ')}`, 'give the whole id');
  }
  const decisions = subject
    ? await readDecisions(await context.miner(), subject.query, count)
    : await fromHistory(context, wanted, count);
  const isChute = subject === undefined || subject.kind === 'chute';
  const whyNot = isChute ? await readWhyNot(await context.miner(), subject?.query.chute_id ?? wanted) : [];
  if (!subject && decisions.length === 0 && whyNot.length === 0) {
    throw notFoundError(`nothing is known of "${wanted}"`, 'give a deployment id, or id or name of a chute or server');
  }
  await context.out.show({
    value: { subject: subject ? { kind: subject.kind, name: subject.name } : null, why_not: whyNot, decisions },
    names: decisions.map(({ decision_id }) => decision_id),
    table(look) {
      const head = [...(subject ? [`${subject.kind} ${subject.name}`] : []), ...whyNot.map(whyNotView)];
      if (decisions.length === 0) return [...head, 'no decision is on record'].join('\n\n');
      return [...head, ...decisions.map((one) => decisionView(one, look))].join('\n\n');
    },
  });
}

export const command: CommandModule = {
  arguments: [{ name: '<what>', description: 'deployment, chute or server: id, name, or the start of one' }],
  options: [
    {
      flags: '--limit <n>',
      description: `how many decisions, newest first (default: ${defaultLimit})`,
      parse: limit,
    },
  ],
  examples: ['why gpu-0', 'why 3f1c2f9e', 'why llama-3-70b --limit 20 -o json'],
  run,
};
