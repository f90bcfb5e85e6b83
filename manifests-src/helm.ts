// The tree as Helm charts, one for what each cluster gets: for people who install with Helm and not with Argo CD.

import { toYaml } from './yaml.ts';

const version = '0.1.0';

/** Braces of alerts, dashboards and Lua are text; Helm would run them. */
function escaped(text: string): string {
  return text.replaceAll('{{', '{{ "{{" }}');
}

/** `<folder>/Chart.yaml` and `<folder>/templates/…` for `control`, `argocd` and each `members/<server>`. */
export function helmCharts(tree: ReadonlyMap<string, string>): Map<string, string> {
  const files = new Map<string, string>();
  for (const [path, text] of tree) {
    const folder = /^(members|chutes)\/[^/]+|^[^/]+/.exec(path)?.[0] ?? '';
    const name = folder.replace('/', '-');
    files.set(`${folder}/Chart.yaml`, toYaml([{ apiVersion: 'v2', name, version, type: 'application' }]));
    files.set(`${folder}/templates${path.slice(folder.length)}`, escaped(text));
  }
  return files;
}
