// Sections `controller`, `gepetto`, `agent` and `audit`: the roles of the program that run in clusters.

import { z } from 'zod';
import { cron, nodePort, placement, quantity, resources, storage } from './common.ts';

const repositorySize = quantity.default('5Gi').describe('Size of the volume claim of the cluster repository.');

export const controllerValues = z
  .strictObject({
    nodePort: nodePort(32000).describe('Node port of the miner API on the control cluster.'),
    repositorySize,
    resources: resources({ cpu: '250m', memory: '1Gi' }, { cpu: '1', memory: '2Gi' }),
    placement,
    egressPorts: z
      .array(z.int().min(1).max(65_535))
      .default([])
      .describe(
        'TCP ports that it may reach besides 443, 6443, the node ports, and those in the URLs of validators and agents.',
      ),
  })
  .prefault({})
  .describe('The controller: validators, member clusters, miner API.');

export const gepettoValues = z
  .strictObject({
    resources: resources({ cpu: '500m', memory: '2Gi' }, { cpu: '1', memory: '2Gi' }),
    placement,
  })
  .prefault({})
  .describe('Gepetto, the strategist.');

export const agentValues = z
  .strictObject({
    nodePort: nodePort(32000).describe('Node port of the agent on every GPU server.'),
    resources: resources({ cpu: '250m', memory: '256Mi' }, { cpu: '1', memory: '1Gi' }),
    operatorAccess: z
      .boolean()
      .default(true)
      .describe("Let the miner's kubeconfig read pods, logs and events too, for people; the program does not need it."),
  })
  .prefault({})
  .describe('The agent of every GPU server.');

export const auditValues = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Report each full hour to the validators.'),
    schedule: cron('1 * * * *'),
    chain: z
      .string()
      .regex(/^(wss?:\/\/\S+|none)$/, 'must be a ws or wss URL, or none')
      .default('wss://entrypoint-finney.opentensor.ai:443')
      .describe('Node of the chain on which the hash is committed; none: upload without a commitment.'),
    netuid: z.int().min(0).default(64).describe('Subnet.'),
    prometheus: z
      .string()
      .regex(/^https?:\/\/\S+$/, 'must be an http or https URL')
      .default('http://prometheus-server.monitoring.svc.cluster.local')
      .describe('Where the invocations are counted.'),
    storage: z.strictObject(storage('1Gi')).prefault({}).describe('Where the reports are kept.'),
    resources: resources({ cpu: '100m', memory: '256Mi' }, { cpu: '1', memory: '1Gi' }),
    placement,
  })
  .prefault({})
  .describe('The hourly audit report.');
