// The import of a running upstream miner: its rows, read once, become ours. What is written and where comes after.

import type { Chute } from '../../domain/chute.ts';
import type { ServerConfig } from '../../domain/config.ts';
import type { DeploymentLifecycle } from '../../domain/deployment.ts';
import type { AuditRow } from '../../domain/ports.ts';
import type { Server } from '../../domain/server.ts';
import { importAudit, importDeployments } from './deployments.ts';
import { createFindings, type Finding, type Kind } from './findings.ts';
import { type InventoryOptions, importChutes, importServers } from './inventory.ts';
import type { UpstreamRows } from './source.ts';

export interface Import {
  servers: Server[];
  /** `servers/<name>.yaml` for branch `main`, one for each server. */
  configs: ServerConfig[];
  chutes: Chute[];
  lifecycles: DeploymentLifecycle[];
  audit: AuditRow[];
  counts: { kind: Kind; found: number; taken: number }[];
  /** Rows that were left, and what a person should know about rows that were taken. */
  findings: readonly Finding[];
}

/** Pure: the same rows give the same import. */
export function translate(source: UpstreamRows, options: InventoryOptions): Import {
  const findings = createFindings();
  const imported = importServers(source, options, findings);
  const servers = imported.map(({ server }) => server);
  const chutes = importChutes(source, findings);
  const lifecycles = importDeployments(source, servers, chutes, options.now, findings);
  const audit = importAudit(source, lifecycles, options.now, findings);
  return {
    servers,
    configs: imported.map(({ config }) => config),
    chutes,
    lifecycles,
    audit,
    counts: [
      { kind: 'server', found: source.servers.length, taken: servers.length },
      { kind: 'gpu', found: source.gpus.length, taken: servers.flatMap(({ gpus }) => gpus).length },
      { kind: 'chute', found: source.chutes.length, taken: chutes.length },
      { kind: 'deployment', found: source.deployments.length, taken: lifecycles.length },
      { kind: 'audit entry', found: source.audit.length, taken: audit.length },
    ],
    findings: findings.all,
  };
}
