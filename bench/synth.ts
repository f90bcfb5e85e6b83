// The whole tree for 1, 10, 100 and 1,000 servers that share their values, and for 100 that all differ. Prints one JSON object a line.

import { minerConfig, type ServerConfig, serverConfig } from '@miner/controller/domain/config.ts';
import { renderTree } from '@miner/manifests/render.ts';
import { machine } from './machine.ts';

const validator = '5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty';
const config = minerConfig.parse({
  hotkey: '5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY',
  validators: [
    { hotkey: validator, registry: 'registry.chutes.ai', api: 'https://api.chutes.ai', socket: 'wss://ws.chutes.ai' },
  ],
});

function serversOf(count: number, different: boolean): Map<string, ServerConfig> {
  const servers = Array.from({ length: count }, (_, i) =>
    serverConfig.parse({
      name: `gpu-${i}`,
      validator,
      hourlyCost: 1.5,
      gpuShortRef: 'h100_sxm',
      agentApi: `http://gpu-${i}.example:32000`,
      ...(different && { cache: { maxSizeGb: 500 + i } }),
    }),
  );
  return new Map(servers.map((server) => [server.name, server]));
}

function measure(name: string, count: number, different: boolean): void {
  const servers = serversOf(count, different);
  const started = performance.now();
  const files = renderTree(config, servers).size;
  const value = Number(((performance.now() - started) / 1000).toFixed(3));
  console.log(JSON.stringify({ name, value, unit: 's', n: count, files, machine: machine() }));
}

for (const count of [1, 10, 100, 1000]) measure('synth', count, false);
measure('synth-all-different', 100, true);
