// The whole tree of branch `live` as text: `renderTree` is a pure function of the configuration. Same input, same bytes (R13).

import { configFor, type MinerConfig, type ServerConfig } from '@miner/controller/domain/config.ts';
import type { DeploymentSpec } from '@miner/controller/domain/deployment.ts';
import { App, Chart } from 'cdk8s';
import { controlCharts, memberCharts, topCharts } from './charts/all.ts';
import { type RenderContext, renderChute } from './charts/chute.ts';
import type { ChartDefinition, ControlContext } from './charts/definition.ts';
import { joinYaml, toYaml } from './yaml.ts';

export interface ChuteDeployment {
  spec: DeploymentSpec;
  context: RenderContext;
}

/** Objects of one part as text; undefined when it draws nothing. */
function renderPart<Context>({ parts }: ChartDefinition<Context>, part: string, context: Context): string | undefined {
  const chart = new Chart(new App(), part, { disableResourceNameHashes: true });
  parts[part]?.(chart, context);
  const objects = chart.toJson();
  return objects.length > 0 ? toYaml(objects) : undefined;
}

/** Files of one chart, by `<chart>/<part>.yaml`; of all its parts unless some are named. */
export function renderChart<Context>(
  chart: ChartDefinition<Context>,
  context: Context,
  wanted: readonly string[] = Object.keys(chart.parts),
): [path: string, text: string][] {
  return wanted.flatMap((part): [string, string][] => {
    const text = renderPart(chart, part, context);
    return text === undefined ? [] : [[`${chart.name}/${part}.yaml`, text]];
  });
}

/** Servers drawn in one go, a few milliseconds. */
const atOnce = 20;

/** Like `renderChart`, in steps: what has something for each server is drawn for a few of them at a time. */
function* controlFiles(chart: ChartDefinition<ControlContext>, context: ControlContext) {
  const files: [path: string, text: string][] = [];
  for (const part of Object.keys(chart.parts)) {
    const isLong = chart.serverByServer?.includes(part) ?? false;
    const texts: string[] = [];
    for (let from = 0; from === 0 || (isLong && from < context.servers.length); from += atOnce) {
      const servers = isLong ? context.servers.slice(from, from + atOnce) : context.servers;
      const text = renderPart(chart, part, { ...context, servers });
      if (text !== undefined) texts.push(text);
      yield;
    }
    if (texts.length > 0) files.push([`${chart.name}/${part}.yaml`, joinYaml(texts)]);
  }
  return files;
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

/** The tree, with a pause wherever others may have their turn. */
function* renderSteps(
  config: MinerConfig,
  servers: ReadonlyMap<string, ServerConfig>,
  chutes: Iterable<ChuteDeployment>,
): Generator<void, Map<string, string>> {
  const files: [string, string][] = [];
  const add = (folder: string, rendered: Iterable<[string, string]>): void => {
    for (const [path, text] of rendered) files.push([folder + path, text]);
  };
  const sorted = inOrder(servers.values());
  const control = { config, servers: sorted };
  for (const chart of controlCharts) add('control/', yield* controlFiles(chart, control));
  for (const chart of topCharts) add('', yield* controlFiles(chart, control));
  const member = memberRenderer(config);
  for (const server of sorted) {
    add(`members/${server.name}/`, member(server));
    yield;
  }
  for (const { spec, context } of chutes) {
    files.push([`chutes/${spec.server}/${spec.deploymentId}.yaml`, renderChute(spec, context)]);
  }
  return new Map(files.sort(([a], [b]) => (a < b ? -1 : 1)));
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
  const steps = renderSteps(config, servers, chutes);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same tree without deployments, for a program that has other things to do: a thousand servers take more than a second. */
export async function renderTreeInTurns(
  config: MinerConfig,
  servers: ReadonlyMap<string, ServerConfig>,
): Promise<Map<string, string>> {
  const steps = renderSteps(config, servers, []);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
