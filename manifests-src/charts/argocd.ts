// What Argo CD reads about itself: AppProjects and Applications, one for each server and purpose.

import type { ChartDefinition, ControlContext } from './definition.ts';

export const argocdChart: ChartDefinition<ControlContext> = {
  name: 'argocd',
  parts: {},
};
