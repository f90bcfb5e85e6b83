// The whole tree of branch `live` as text: `renderTree` is a pure function of the configuration. Same input, same bytes (R13).

import { configFor, type MinerConfig, type ServerConfig } from '@miner/controller/domain/config.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import { App, Chart } from 'cdk8s';
import { controlCharts, memberCharts, topCharts } from './charts/all.ts';
import { type RenderContext, renderChute } from './charts/chute.ts';
import type { ChartDefinition } from './charts/definition.ts';
import { toYaml } from './yaml.ts';

export interface ChuteDeployment {
  spec: DeploymentSpec;
  context: RenderContext;
}

/** Files of one chart, by `<chart>/<part>.yaml`; of all its parts unless some are named. */
export function renderChart<Context>(
  { name, parts }: ChartDefinition<Context>,
  context: Context,
  wanted: readonly string[] = Object.keys(parts),
): [path: string, text: string][] {
  return wanted.flatMap((part): [string, string][] => {
    const chart = new Chart(new App(), part, { disableResourceNameHashes: true });
    parts[part]?.(chart, context);
    const objects = chart.toJson();
    return objects.length > 0 ? [[`${name}/${part}.yaml`, toYaml(objects)]] : [];
  });
}

/** Files of a GPU server. Servers differ in few values, if in any: what does not depend on these is drawn once, and each set of values once. */
function memberRenderer(config: MinerConfig): (server: ServerConfig) => [path: string, text: string][] {
  const common = memberCharts.flatMap((chart) =>
    renderChart(
      chart,
      { config },
      Object.keys(chart.parts).filter((part) => !chart.perServer?.includes(part)),
    ),
  );
  const rendered = new Map<string, [string, string][]>();
  return (server) => {
    const own = configFor(config, server);
    const key = JSON.stringify([own.cache, own.registry.mode]);
    const known = rendered.get(key) ?? [
      ...common,
      ...memberCharts.flatMap((chart) => renderChart(chart, { config: own }, chart.perServer ?? [])),
    ];
    rendered.set(key, known);
    return known;
  };
}

function inOrder(servers: Iterable<ServerConfig>): ServerConfig[] {
  return [...servers].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Every file by its path, in the order of paths: `control/…`, `members/<server>/…`, `argocd/…` and, for the deployments that are given,
 * `chutes/<server>/<deployment id>.yaml`. Throws E-GUARD naming the broken rule; then nothing may be written.
 */
export function renderTree(
  config: MinerConfig,
  servers: ReadonlyMap<string, ServerConfig>,
  chutes: Iterable<ChuteDeployment> = [],
): Map<string, string> {
  const files: [string, string][] = [];
  const add = (folder: string, rendered: Iterable<[string, string]>): void => {
    for (const [path, text] of rendered) files.push([folder + path, text]);
  };
  const sorted = inOrder(servers.values());
  const control = { config, servers: sorted };
  for (const chart of controlCharts) add('control/', renderChart(chart, control));
  for (const chart of topCharts) add('', renderChart(chart, control));
  const member = memberRenderer(config);
  for (const server of sorted) add(`members/${server.name}/`, member(server));
  for (const { spec, context } of chutes) {
    files.push([`chutes/${spec.server}/${spec.deploymentId}.yaml`, renderChute(spec, context)]);
  }
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
}
