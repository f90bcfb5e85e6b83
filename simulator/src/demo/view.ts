// The live table: pure text from a status and a report, sized to the terminal.

import type { Status } from '@miner/controller/roles/status.ts';
import Table from 'cli-table3';
import type { Report } from './report.ts';

export interface ViewInput {
  status: Status;
  report: Report;
  /** Simulated seconds since the start, and seconds per second. */
  elapsed: number;
  speed: number;
  /** Command lines with which the reader goes on. */
  hints: readonly string[];
  /** What just happened in the simulated world, newest last. */
  news: readonly string[];
  columns: number;
}

const shownDecisions = 8;
const shownNews = 4;

function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(1, width - 1))}…`;
}

function table(head: string[], rows: string[][]): string {
  const made = new Table({ head, style: { head: [], border: [], compact: true } });
  made.push(...rows);
  return made.toString();
}

function duration(seconds: number): string {
  const minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${Math.floor(seconds)}s`;
  return minutes < 60 ? `${minutes}m` : `${Math.floor(minutes / 60)}h${String(minutes % 60).padStart(2, '0')}m`;
}

export function renderView({ status, report, elapsed, speed, hints, news, columns }: ViewInput): string {
  const wide = Math.max(60, columns);
  const servers = status.servers.map((server) => [
    server.name,
    server.gpuShortRef,
    `${server.gpusUsed}/${server.gpus}`,
    server.gpusVerified === server.gpus ? server.health : 'verifying',
    server.locked ? 'locked' : '',
    `$${server.costPerHour.toFixed(2)}`,
  ]);
  const deployments = status.deployments
    .filter(({ phase }) => phase !== 'gone')
    .sort((a, b) => a.server.localeCompare(b.server) || a.plannedAt - b.plannedAt)
    .map((one) => [
      clip(one.chuteName, wide - 52),
      one.server,
      String(one.gpuIds.length),
      one.phase,
      duration((status.now - one.plannedAt) / 1000),
    ]);
  const decisions = status.decisions
    .slice(0, shownDecisions)
    .map((one) => clip(`  ${one.kind} ${one.chuteName} on ${one.server}: ${one.reason} (${one.because})`, wide));
  const { active, starting, draining } = report.deployments;
  return [
    `chutes miner demo: ${duration(elapsed)} of simulated time, ${speed}x`,
    `${active} active, ${starting} starting, ${draining} draining   cost $${report.costPerHour.toFixed(2)}/h   ` +
      `score ${report.score.toFixed(2)}   ${report.decisions} decisions in ${report.commits} commits   ${report.violations} violations`,
    table(['server', 'gpu', 'used', 'state', '', 'cost/h'], servers),
    table(['chute', 'on', 'gpus', 'state', 'age'], deployments),
    'last decisions',
    ...(decisions.length > 0 ? decisions : ['  none yet']),
    'meanwhile',
    ...(news.length > 0 ? news.slice(-shownNews).map((line) => clip(`  ${line}`, wide)) : ['  nothing']),
    ...status.held.map((line) => clip(`held back: ${line}`, wide)),
    '',
    ...hints,
  ].join('\n');
}
