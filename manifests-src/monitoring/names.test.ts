// Every series that an alert, a dashboard or the documentation names exists: it is one of ours, or on the list of foreign ones.

import { readFileSync } from 'node:fs';
import { createMetrics } from '@miner/controller/metrics/metrics.ts';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { alerts } from './alerts.ts';
import { dashboards } from './dashboards.ts';
import { chuteSeries, controlSeries, ownSeriesOfServers, serverSeries } from './foreign.ts';

async function known(): Promise<Set<string>> {
  const ours = await createMetrics({ process: false }).registry.getMetricsAsJSON();
  return new Set([
    ...ours.flatMap(({ name, type }) => (String(type) === 'histogram' ? [`${name}_bucket`, `${name}_sum`] : [name])),
    ...chuteSeries,
    ...serverSeries,
    ...ownSeriesOfServers,
    ...controlSeries,
  ]);
}

/** Names of series: words that are neither function, keyword, label, number nor text. */
function seriesIn(expr: string): string[] {
  const plain = expr
    .replace(/"[^"]*"/g, '')
    .replace(/\{[^}]*\}|\[[^\]]*\]/g, '')
    .replace(/\b(by|without|on|ignoring)\s*\([^)]*\)/g, '');
  return [...plain.matchAll(/[A-Za-z_]\w*(?!\w*\s*\()/g)]
    .map(([word]) => word)
    .filter((word) => !['and', 'or', 'unless', 'sum', 'avg', 'max', 'min'].includes(word));
}

test('series are found in a query, functions and labels are not', () => {
  assert.equal(seriesIn('sum by (a, le) (rate(x_total{b="c"}[5m])) / sum(y) and abs(z) > 0'), ['x_total', 'y', 'z']);
});

test('every series of an alert exists', async () => {
  const names = await known();
  for (const { name, expr } of alerts)
    for (const series of seriesIn(expr)) assert.ok(names.has(series), `${name}: ${series}`);
});

test('every series of a dashboard exists', async () => {
  const names = await known();
  for (const { title, panels } of dashboards)
    for (const panel of panels)
      for (const { expr } of panel.targets) {
        assert.ok(seriesIn(expr).length > 0, expr);
        for (const series of seriesIn(expr)) assert.ok(names.has(series), `${title}, ${panel.title}: ${series}`);
      }
});

test('no foreign series is fetched in vain', () => {
  const used = new Set([
    ...alerts.flatMap(({ expr }) => seriesIn(expr)),
    ...dashboards.flatMap(({ panels }) =>
      panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => seriesIn(expr))),
    ),
  ]);
  for (const series of [...serverSeries, ...controlSeries]) assert.ok(used.has(series), series);
});

test('every metric of ours is documented, with its type and meaning, and there are at least 20', async () => {
  const text = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const ours = await createMetrics({ process: false }).registry.getMetricsAsJSON();
  assert.ok(ours.length >= 20);
  for (const { name, type, help } of ours) assert.ok(text.includes(`| \`${name}\` | ${type} | ${help} |`), name);
  for (const name of ownSeriesOfServers) assert.ok(text.includes(`\`${name}\``), name);
});

test('alerts and dashboards have names of their own', () => {
  assert.is(new Set(alerts.map(({ name }) => name)).size, alerts.length);
  assert.is(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length);
});

test.run();
