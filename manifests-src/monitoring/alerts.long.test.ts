// Prometheus's own tool reads both configurations, and runs the example of each alert: it fires under the fault and not without it.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { configWith, serversNamed } from '../testing/tree.ts';
import { alertRules, alerts } from './alerts.ts';
import { controlScrapes, memberScrapes } from './scrape.ts';

const folder = mkdtempSync(join(tmpdir(), 'alerts-'));
test.after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: object): string {
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify(content));
  return file;
}

/** Throws with what promtool says. */
function promtool(...args: string[]): string {
  return execFileSync('promtool', args, { encoding: 'utf8', timeout: 60_000, stdio: 'pipe' });
}

const rules = write('rules.json', alertRules);
const inputs = (series: Record<string, string>) =>
  Object.entries(series).map(([series, values]) => ({ series, values }));

test('promtool accepts the rules', () => {
  assert.match(promtool('check', 'rules', rules), `${alerts.length} rules found`);
});

/** Debian's build knows no Kubernetes: what finds the targets is left out, all else is read. */
function withoutDiscovery(config: object): object {
  return JSON.parse(JSON.stringify(config), (key, value) => (key === 'kubernetes_sd_configs' ? undefined : value));
}

test('promtool accepts the configuration of the control cluster and of a GPU server', () => {
  const servers = [...serversNamed('gpu-01', 'gpu-02').values()];
  for (const config of [controlScrapes(configWith(), servers), memberScrapes(configWith())])
    assert.match(
      promtool('check', 'config', '--syntax-only', write('config.json', withoutDiscovery(config))),
      'SUCCESS',
    );
});

for (const { name, severity, summary, example } of alerts) {
  test(`${name} fires under its fault, and not without it`, () => {
    const { series, quiet, after, labels } = example;
    const told = summary.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '');
    const fired = { exp_labels: { ...labels, severity }, exp_annotations: { summary: told } };
    const at = { eval_time: `${after}m`, alertname: name };
    const tests = [
      { interval: '1m', input_series: inputs(series), alert_rule_test: [{ ...at, exp_alerts: [fired] }] },
      { interval: '1m', input_series: inputs(quiet), alert_rule_test: [{ ...at, exp_alerts: [] }] },
    ];
    const file = write('test.json', { rule_files: [rules], evaluation_interval: '1m', tests });
    assert.match(promtool('test', 'rules', file), 'SUCCESS');
  });
}

test.run();
