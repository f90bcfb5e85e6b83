// A CPU profile of Argo CD's application controller, by the endpoint that its metrics port has. Read it with `go tool pprof -top -cum FILE`.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tell } from '../ends.ts';
import type { Stage } from './stage.ts';

/** Into `folder`, when it is written; a profile that fails is told and costs nothing else. */
export async function profileWhile(stage: Stage, folder: string, name: string, seconds: number): Promise<void> {
  try {
    const answer = await fetch(new URL(`/debug/pprof/profile?seconds=${seconds}`, stage.argocd.metricsUrl));
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const file = join(folder, `${name}.pprof`);
    writeFileSync(file, Buffer.from(await answer.arrayBuffer()));
    tell(`profile: ${file}`);
  } catch (error) {
    tell(`no profile ${name}: ${error instanceof Error ? error.message : error}`);
  }
}
