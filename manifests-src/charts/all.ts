// Every chart, by where it is rendered to.

import { argocdChart } from './argocd.ts';
import type { ChartDefinition, ControlContext, MemberContext } from './definition.ts';
import { minerChart } from './miner.ts';
import { minerGpuChart } from './miner-gpu.ts';
import { monitoringChart, monitoringMemberChart } from './monitoring.ts';

/** `control/<chart>/<part>.yaml` */
export const controlCharts: readonly ChartDefinition<ControlContext>[] = [minerChart, monitoringChart];

/** `members/<server>/<chart>/<part>.yaml` */
export const memberCharts: readonly ChartDefinition<MemberContext>[] = [minerGpuChart, monitoringMemberChart];

/** `<chart>/<part>.yaml` at the top: what Argo CD itself reads. */
export const topCharts: readonly ChartDefinition<ControlContext>[] = [argocdChart];
