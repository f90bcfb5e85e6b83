// What Argo CD reads about itself: settings, AppProjects, and Applications, one for each server and purpose, so that a dead server holds
// nobody else up.

import type { MinerConfig, ServerConfig } from '@miner/controller/domain/config.ts';
import { lockedAnnotation, serverLabel } from '@miner/controller/domain/lockrequest.ts';
import type { Chart } from 'cdk8s';
import { allowedKinds } from '../argocd/kinds.ts';
import { Access } from '../constructs/access.ts';
import { application, controlCluster, project } from '../constructs/application.ts';
import { applicationNames } from '../constructs/application-names.ts';
import { behaviour, pace } from '../constructs/argocd-settings.ts';
import { argocdGrants, controllerAccount } from '../constructs/controller.ts';
import { chutesNamespace, monitoringNamespace, systemNamespace } from '../constructs/names.ts';
import { notifications } from '../constructs/notifications.ts';
import { prometheusAccount, prometheusPods } from '../constructs/prometheus.ts';
import type { ChartDefinition, ControlContext } from './definition.ts';

const projects = { argocd: 'miner-argocd', control: 'miner-control', members: 'miner-members', chutes: 'miner-chutes' };

type Part = (scope: Chart, context: ControlContext) => void;

type DashboardName = 'deployments' | 'fleet' | 'gitops' | 'gpus';

/** To the dashboard, when Grafana has an address, and what miner.yaml adds for a server. */
function linksOf(
  { argocd, monitoring }: MinerConfig,
  dashboard: DashboardName,
  server?: string,
): Record<string, string> {
  const { enabled, grafana } = monitoring;
  const own = Object.entries(server === undefined ? {} : argocd.links).sort(([a], [b]) => (a < b ? -1 : 1));
  const hasGrafana = enabled && grafana.enabled && grafana.url !== undefined;
  const links = [
    ...(hasGrafana ? [['grafana', `${grafana.url?.replace(/\/$/, '')}/d/miner-${dashboard}`]] : []),
    ...own,
  ];
  return Object.fromEntries(
    links.map(([name, link = '']) => [`link.argocd.argoproj.io/${name}`, link.replaceAll('{server}', server ?? '')]),
  );
}

/** What the buttons lock and unlock go by. */
const labelsFor = ({ name }: ServerConfig) => ({ [serverLabel]: name });
const stateOf = ({ locked }: ServerConfig) => ({ [lockedAnnotation]: String(locked) });

/** For the command line. */
const commandsOf = ({ name }: ServerConfig) => ({
  Explain: `chutes-miner why ${name}`,
  Lock: `chutes-miner node lock ${name}`,
  Unlock: `chutes-miner node unlock ${name}`,
});

const drawProjects: Part = (scope, { config, servers }) => {
  const allowed = allowedKinds(config.argocd.showPods);
  const onServers = (...namespaces: string[]) =>
    servers.flatMap(({ name }) => namespaces.map((namespace) => ({ name, namespace })));
  const onControl = (...namespaces: string[]) => namespaces.map((namespace) => ({ name: controlCluster, namespace }));
  project(scope, {
    config,
    name: projects.argocd,
    description: 'What Argo CD reads about itself.',
    destinations: onControl(config.argocd.namespace),
    allowed: allowed.argocd,
  });
  project(scope, {
    config,
    name: projects.control,
    description: 'The control plane.',
    destinations: onControl(chutesNamespace, monitoringNamespace),
    allowed: allowed.platform,
  });
  project(scope, {
    config,
    name: projects.members,
    description: 'What every GPU server runs beside its chutes.',
    destinations: onServers(chutesNamespace, systemNamespace, monitoringNamespace, 'default'),
    allowed: allowed.platform,
  });
  // With the GPU verification, which no Application holds.
  project(scope, {
    config,
    name: projects.chutes,
    description: 'Chutes.',
    destinations: onServers(chutesNamespace),
    allowed: allowed.chutes,
    showOthers: true,
  });
};

const drawControl: Part = (scope, { config }) => {
  const retry = [5, 180] as const;
  const destination = { name: controlCluster };
  const { namespace } = config.argocd;
  application(scope, {
    config,
    name: applicationNames.argocd,
    project: projects.argocd,
    destination: { ...destination, namespace },
    folder: 'argocd',
    holdsApplications: true,
    retry,
    annotations: linksOf(config, 'gitops'),
  });
  application(scope, {
    config,
    name: applicationNames.control,
    project: projects.control,
    destination: { ...destination, namespace: chutesNamespace },
    folder: 'control',
    retry,
    annotations: linksOf(config, 'fleet'),
  });
};

const drawMembers: Part = (scope, { config, servers }) => {
  for (const server of servers) {
    application(scope, {
      config,
      name: applicationNames.members(server.name),
      project: projects.members,
      destination: { name: server.name, namespace: systemNamespace },
      folder: `members/${server.name}`,
      retry: [5, 180],
      labels: labelsFor(server),
      annotations: { ...linksOf(config, 'gpus', server.name), ...stateOf(server) },
      info: commandsOf(server),
    });
  }
};

const drawChutes: Part = (scope, { config, servers }) => {
  for (const server of servers) {
    application(scope, {
      config,
      name: applicationNames.chutes(server.name),
      project: projects.chutes,
      destination: { name: server.name, namespace: chutesNamespace },
      folder: `chutes/${server.name}`,
      mayBeEmpty: true,
      checked: true,
      retry: [2, 60],
      labels: labelsFor(server),
      annotations: { ...linksOf(config, 'deployments', server.name), ...stateOf(server) },
      info: commandsOf(server),
    });
  }
};

export const argocdChart: ChartDefinition<ControlContext> = {
  name: 'argocd',
  serverByServer: ['members', 'chutes'],
  parts: {
    settings(scope, { config }) {
      behaviour(scope, config);
      pace(scope, config);
    },
    // What the control plane may do in Argo CD's namespace: here, so that its own project need not reach there.
    access(scope, context) {
      const { argocd, monitoring } = context.config;
      new Access(scope, 'controller', { subject: controllerAccount, grants: argocdGrants(context) });
      if (monitoring.enabled)
        new Access(scope, 'prometheus', { subject: prometheusAccount, grants: [prometheusPods(argocd.namespace)] });
    },
    notifications: (scope, { config }) => notifications(scope, config),
    projects: drawProjects,
    control: drawControl,
    members: drawMembers,
    chutes: drawChutes,
  },
};
