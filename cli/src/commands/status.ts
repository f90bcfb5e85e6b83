// `status`: one page of the miner's own account of itself (GET /status).

import { z } from 'zod';
import type { CommandModule, Context } from '../command.ts';
import { byName, cost, duration, time } from '../output/format.ts';
import { plainTable, type TableLook } from '../output/table.ts';
import { readAnswer } from '../shapes.ts';

const statusShape = z.looseObject({
  now: z.number(),
  hotkey: z.string(),
  mode: z.string(),
  configCommit: z.string(),
  plannedWith: z.string().nullish(),
  liveCommit: z.string(),
  validators: z.array(z.looseObject({ hotkey: z.string(), connected: z.boolean(), feedsAt: z.number().nullish() })),
  servers: z.array(
    z.looseObject({
      name: z.string(),
      gpuShortRef: z.string(),
      gpus: z.number(),
      gpusUsed: z.number(),
      gpusVerified: z.number(),
      costPerHour: z.number(),
      health: z.string(),
      locked: z.boolean(),
    }),
  ),
  deployments: z.array(
    z.looseObject({
      deploymentId: z.string(),
      chuteId: z.string(),
      chuteName: z.string(),
      server: z.string(),
      phase: z.string(),
    }),
  ),
  decisions: z
    .array(
      z.looseObject({
        at: z.number(),
        kind: z.string(),
        chuteName: z.string(),
        server: z.string(),
        reason: z.string(),
        because: z.string(),
      }),
    )
    .default([]),
  held: z.array(z.string()),
  blocked: z.array(z.string()).default([]),
});
export type StatusAnswer = z.infer<typeof statusShape>;

const order = ['planned', 'committed', 'running', 'claimed', 'verified', 'active', 'draining'];
const shownDecisions = 5;

export async function readStatus(context: Context): Promise<StatusAnswer> {
  const miner = await context.miner();
  const status = readAnswer(statusShape, await miner.json('GET', '/status', { purpose: 'management' }), 'the status');
  status.servers.sort((a, b) => byName(a.name, b.name));
  return status;
}

/** `3 active, 1 running`; what is gone does not count. */
function phases({ deployments }: StatusAnswer): string {
  const counts = new Map<string, number>();
  for (const { phase } of deployments) counts.set(phase, (counts.get(phase) ?? 0) + 1);
  const shown = order.filter((phase) => counts.has(phase)).map((phase) => `${counts.get(phase)} ${phase}`);
  return shown.length > 0 ? shown.join(', ') : 'none';
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

/** Gepetto looks at `main` on its own: until its next pass it follows an older commit. */
function mainText({ configCommit, plannedWith }: StatusAnswer): string {
  const newest = configCommit.slice(0, 8);
  if (plannedWith === configCommit) return newest;
  return plannedWith ? `${newest} (the last pass followed ${plannedWith.slice(0, 8)})` : `${newest} (no pass yet)`;
}

function view(status: StatusAnswer, look: TableLook): string {
  const { now, servers, validators, decisions, held, blocked } = status;
  const used = sum(servers.map(({ gpusUsed }) => gpusUsed));
  const all = sum(servers.map(({ gpus }) => gpus));
  const rows = servers.map((one) => [
    one.name,
    one.gpuShortRef,
    `${one.gpusUsed}/${one.gpus}`,
    `${one.gpusVerified}/${one.gpus}`,
    { text: one.health, style: one.health === 'healthy' ? ('green' as const) : ('yellow' as const) },
    one.locked ? 'yes' : 'no',
    cost(one.costPerHour),
  ]);
  return [
    `hotkey       ${status.hotkey}`,
    `mode         ${look.paint(status.mode, status.mode === 'active' ? 'green' : 'yellow')}`,
    `commits      main ${mainText(status)}, live ${status.liveCommit.slice(0, 8)}`,
    ...validators.map((one) => {
      const link = one.connected ? look.paint('connected', 'green') : look.paint('not connected', 'red');
      const feeds = one.feedsAt ? `feeds ${duration(now - one.feedsAt)} old` : 'no feeds yet';
      return `validator    ${one.hotkey} ${link}, ${feeds}`;
    }),
    `GPUs         ${used} of ${all} used on ${servers.length} server(s)`,
    `deployments  ${phases(status)}`,
    `cost         ${cost(sum(servers.map(({ costPerHour }) => costPerHour)))} per hour`,
    ...held.map((line) => look.paint(`held back    ${line}`, 'yellow')),
    ...blocked.map((line) => `policy       ${line}`),
    ...(rows.length > 0
      ? ['', plainTable(['SERVER', 'GPU', 'USED', 'VERIFIED', 'HEALTH', 'LOCKED', 'COST/H'], rows, look)]
      : []),
    ...(decisions.length > 0 ? ['', 'last decisions'] : []),
    ...decisions
      .slice(0, shownDecisions)
      .map((one) => `  ${time(one.at)}  ${one.kind} ${one.chuteName} on ${one.server}: ${one.reason} (${one.because})`),
  ].join('\n');
}

async function run(context: Context): Promise<undefined> {
  const status = await readStatus(context);
  const names = status.servers.map(({ name }) => name);
  await context.out.show({ value: status, names, table: (look) => view(status, look) });
}

export const command: CommandModule = {
  examples: ['status', 'status -o json | jq .held'],
  run,
};
