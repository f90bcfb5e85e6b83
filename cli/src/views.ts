// Servers as upstream shows them: a heading, a box of properties, a box of deployments, a box of GPUs.

import { chuteName, stateOf } from './inventory.ts';
import { byName, clockMhz, cost, memory, time } from './output/format.ts';
import { boxTable, type Cell, type TableLook } from './output/table.ts';
import type { DeploymentAnswer, GpuAnswer, RemoteGpu, RemoteServer, ServerAnswer } from './shapes.ts';

const rule = '='.repeat(80);

function verdict(isVerified: boolean): Cell {
  return isVerified ? { text: 'Verified', style: 'green' } : { text: 'Pending', style: 'yellow' };
}

function deploymentBox(deployments: readonly DeploymentAnswer[], look: TableLook): string {
  const rows = [...deployments]
    .sort((a, b) => byName(chuteName(a), chuteName(b)) || byName(a.deployment_id, b.deployment_id))
    .map((one) => {
      const state = stateOf(one);
      const style = state === 'Active' ? ('green' as const) : ('yellow' as const);
      return [
        chuteName(one),
        String(one.gpus.length),
        String(one.port ?? '-'),
        time(one.created_at),
        { text: state, style },
      ];
    });
  return boxTable(['Model', 'GPUs', 'Port', 'Created', 'Status'], rows, look);
}

function gpuBox(gpus: readonly GpuAnswer[], look: TableLook): string {
  const rows = [...gpus]
    .sort((a, b) => byName(a.gpu_id, b.gpu_id))
    .map(({ device_info: device, model_short_ref, verified }) => [
      device?.name ?? model_short_ref ?? '-',
      device?.memory === null || device?.memory === undefined ? '-' : memory(Number(device.memory)),
      device?.clock_rate ? clockMhz(device.clock_rate) : '-',
      String(device?.processors ?? '-'),
      verdict(verified === true),
    ]);
  return boxTable(['Name', 'Memory', 'Clock MHz', 'Processors', 'Status'], rows, look);
}

export function serverView(server: ServerAnswer, look: TableLook): string {
  const properties: [string, string | Cell][] = [
    ['Status', server.status ?? '-'],
    ['Locked', server.locked ? { text: 'Yes', style: 'yellow' } : 'No'],
    ['GPUs', String(server.gpu_count ?? server.gpus.length)],
    ['Memory/GPU', `${server.memory_per_gpu ?? '-'} GB`],
    ['CPU/GPU', String(server.cpu_per_gpu ?? '-')],
    ['Hourly Cost', cost(server.hourly_cost ?? 0)],
    ['IP', server.ip_address ?? '-'],
    ['Created', time(server.created_at)],
  ];
  return [
    look.paint(`Server: ${server.name}`, 'bold'),
    boxTable(undefined, properties, look),
    ...(server.deployments.length > 0 ? ['Active Deployments', deploymentBox(server.deployments, look)] : []),
    ...(server.gpus.length > 0 ? ['GPU Details', gpuBox(server.gpus, look)] : []),
    rule,
  ].join('\n');
}

function verifiedAt(at: string | null | undefined, error: string | null | undefined): Cell {
  if (error) return { text: `Error: ${error}`, style: 'red' };
  return at ? { text: `Verified: ${time(at)}`, style: 'green' } : { text: 'Pending', style: 'yellow' };
}

export function remoteServerView(server: RemoteServer, gpus: ReadonlyMap<string, RemoteGpu>, look: TableLook): string {
  const properties: [string, string | Cell][] = [
    ['Server ID', server.server_id],
    ['IP', server.ip ?? '-'],
    ['TEE', server.is_tee ? 'Yes' : 'No'],
    ['Version', server.version ?? '-'],
    ['Maintenance Pending', server.maintenance_pending ? { text: 'Yes', style: 'yellow' } : 'No'],
    ['Created', time(server.created_at)],
    ['Updated', time(server.updated_at)],
    ['GPUs', server.gpus.length > 0 ? String(server.gpus.length) : { text: 'dangling - no GPUs', style: 'red' }],
  ];
  const rows = [...server.gpus]
    .sort((a, b) => (a.device_index ?? 0) - (b.device_index ?? 0))
    .map((gpu) => {
      const instance = gpus.get(gpu.uuid);
      return [
        gpu.uuid,
        gpu.gpu_identifier ?? '-',
        String(gpu.device_index ?? '-'),
        instance?.chute_name ?? instance?.chute_id ?? '-',
        verifiedAt(gpu.verified_at, gpu.verification_error),
        instance?.chute_id ? verifiedAt(instance.last_verified_at, instance.verification_error) : '-',
      ];
    });
  const heads = ['UUID', 'Identifier', 'Device Index', 'Chute', 'GPU Verification', 'Instance Verification'];
  return [
    look.paint(`Server: ${server.name ?? server.server_id}`, 'bold'),
    boxTable(undefined, properties, look),
    ...(rows.length > 0 ? [boxTable(heads, rows, look)] : []),
    rule,
  ].join('\n');
}
