// Section `registry`: where chute images are pulled through.

import { z } from 'zod';
import { nodePort, resources } from './common.ts';

export const registryModes = ['proxy', 'direct'] as const;

export const registryValues = z
  .strictObject({
    mode: z
      .enum(registryModes)
      .default('proxy')
      .describe(
        "proxy: chute images are pulled through a proxy on each GPU server, which signs every pull; direct: from the validator's registry itself, which knows the server otherwise (TEE).",
      ),
    port: nodePort(30500).describe(
      "Node port of the registry proxy on every GPU server; the mirror in the server's registries.yaml must name the same.",
    ),
    podNetworks: z
      .array(z.string().regex(/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/, 'must be a network such as 10.42.0.0/16'))
      .min(1)
      .default(['10.42.0.0/16'])
      .describe(
        "Networks of the pods of the GPU servers (cluster-cidr of k3s). A server's own pulls come from its address in there; whoever else asks its proxy gets nothing.",
      ),
    resources: resources({ cpu: '500m', memory: '512Mi' }, { cpu: '500m', memory: '512Mi' }).describe(
      'CPU and memory of nginx.',
    ),
    auth: z
      .strictObject({
        resources: resources({ cpu: '250m', memory: '256Mi' }, { cpu: '250m', memory: '256Mi' }).describe(
          'CPU and memory of registry auth.',
        ),
      })
      .prefault({})
      .describe('Registry auth, which signs pulls.'),
    resolvers: z
      .array(z.string())
      .min(1)
      .default(['1.1.1.1', '1.0.0.1', '8.8.8.8', '8.8.4.4'])
      .describe('Name servers that look up the registries.'),
    keepConnections: z
      .boolean()
      .default(true)
      .describe('Keep connections to the registries open between requests; needs nginx 1.27.3.'),
    nodeSelector: z
      .record(z.string(), z.string().max(63))
      .default({ 'nvidia.com/gpu.present': 'true' })
      .describe('Labels of the nodes that have a proxy.'),
    workerProcesses: z.int().min(1).max(64).default(1).describe('Worker processes of nginx.'),
    workerConnections: z.int().min(64).max(65_536).default(1024).describe('Connections of each worker process.'),
    keepaliveSeconds: z
      .int()
      .min(0)
      .max(3600)
      .default(65)
      .describe('Seconds that a client may keep a connection open.'),
  })
  .prefault({})
  .describe('Registry proxy of every GPU server.');
