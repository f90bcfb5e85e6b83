// A simulation as a table for people or as one JSON object for scripts.

import Table from 'cli-table3';
import { meanAndSpread, type SeedResult, type Simulation } from './simulate.ts';

interface Column {
  title: string;
  of: (run: SeedResult) => number;
  digits: number;
}

const columns: readonly Column[] = [
  { title: 'score (CM·h)', of: ({ score }) => score, digits: 1 },
  { title: 'fleet USD', of: ({ cost_usd }) => cost_usd, digits: 0 },
  { title: 'busy USD', of: ({ busy_cost_usd }) => busy_cost_usd, digits: 0 },
  { title: 'score/USD', of: ({ score_per_usd }) => score_per_usd, digits: 4 },
  { title: 'cold starts', of: ({ cold_starts }) => cold_starts, digits: 0 },
  { title: 'preemptions', of: ({ preemptions }) => preemptions, digits: 0 },
  { title: 'wasted launches', of: ({ wasted_launches }) => wasted_launches, digits: 0 },
  { title: 'violations', of: ({ rule_violations }) => rule_violations, digits: 0 },
];

const plainBorders = { head: [], border: [] };

function table({ strategy, runs }: Simulation): string {
  const shown = new Table({
    head: [`${strategy}, seed`, ...columns.map(({ title }) => title)],
    style: plainBorders,
    colAligns: ['left', ...columns.map(() => 'right' as const)],
  });
  for (const run of runs) {
    shown.push([String(run.seed), ...columns.map(({ of, digits }) => of(run).toFixed(digits))]);
  }
  const means = columns.map(({ of, digits }) => {
    const { mean, spread } = meanAndSpread(runs.map(of));
    return `${mean.toFixed(digits)} ± ${spread.toFixed(digits)}`;
  });
  shown.push(['mean ± spread', ...means]);
  return shown.toString();
}

/** Ratio of the mean scores; null when the baseline earned nothing. */
export function comparedWith(baseline: Simulation, simulation: Simulation): number | null {
  return baseline.mean > 0 ? simulation.mean / baseline.mean : null;
}

function brokenRules({ runs }: Simulation): string[] {
  const counts = new Map<string, number>();
  for (const { violations } of runs) {
    for (const [code, n] of Object.entries(violations)) counts.set(code, (counts.get(code) ?? 0) + n);
  }
  return [...counts].map(([code, n]) => `${code} ${n}`);
}

/** `bound` is what no strategy can exceed, in multiplier-hours. */
export function textReport(simulation: Simulation, baseline: Simulation | undefined, bound?: number): string {
  const lines = [table(simulation)];
  const broken = brokenRules(simulation);
  if (broken.length > 0) lines.push(`Rules broken, all seeds: ${broken.join(', ')}`);
  if (baseline) {
    lines.push(table(baseline));
    const ratio = comparedWith(baseline, simulation);
    if (ratio !== null) lines.push(`${simulation.strategy} earns ${ratio.toFixed(3)} × ${baseline.strategy}.`);
  }
  if (bound !== undefined && bound > 0) {
    const share = (100 * simulation.mean) / bound;
    lines.push(
      `No strategy can exceed ${bound.toFixed(0)} (nothing to start, perfect foresight): ${share.toFixed(0)} % of it.`,
    );
  }
  return lines.join('\n');
}

/** The same for scripts. */
export function reportValue(trace: string, simulation: Simulation, baseline: Simulation | undefined, bound?: number) {
  const compared = baseline && { upstream: baseline, ratio: comparedWith(baseline, simulation) };
  return { trace, ...simulation, ...compared, bound };
}
