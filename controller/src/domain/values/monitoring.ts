// Section `monitoring`: Prometheus, Grafana and what they need.

import { z } from 'zod';
import { nodePort, placement, resources, secretKey, secretName, storage } from './common.ts';

const seconds = z.string().regex(/^\d+(s|m|h|d)$/, 'must be a duration such as 15s, 1m or 15d');

export const monitoringValues = z
  .strictObject({
    enabled: z.boolean().default(true).describe('Install Prometheus, exporters and Grafana.'),
    scrapeInterval: seconds.default('1m').describe('How often targets are asked.'),
    prometheus: z
      .strictObject({
        retention: seconds.default('15d').describe('How long series are kept on the control cluster.'),
        storage: z.strictObject(storage('8Gi')).prefault({}).describe('Where series are kept.'),
        resources: resources({ cpu: '250m', memory: '1Gi' }, { cpu: '2', memory: '4Gi' }),
        placement,
      })
      .prefault({})
      .describe('Prometheus of the control cluster.'),
    member: z
      .strictObject({
        nodePort: nodePort(30090).describe(
          'Node port of Prometheus on every GPU server; reached with a password only.',
        ),
        web: secretName(
          'prometheus-web',
          'Secret on every GPU server: tls.crt, tls.key, and web.yml with the bcrypt hash of the password.',
        ),
        retention: seconds.default('2h').describe('How long series are kept on a GPU server.'),
        resources: resources({ cpu: '100m', memory: '512Mi' }, { cpu: '1', memory: '1Gi' }),
      })
      .prefault({})
      .describe('Prometheus of every GPU server.'),
    federation: z
      .strictObject({
        scrapeInterval: seconds.default('15s').describe('How often each GPU server is asked.'),
        credentials: secretKey('federation', 'password', 'Password for the Prometheus of GPU servers.'),
        authority: secretKey('federation', 'ca.crt', 'Authority that signed their certificate.'),
        match: z.array(z.string().min(1)).default([]).describe('More series to fetch from GPU servers, as selectors.'),
      })
      .prefault({})
      .describe('How series of GPU servers come to the control cluster.'),
    grafana: z
      .strictObject({
        enabled: z.boolean().default(true).describe('Install Grafana.'),
        nodePort: nodePort(30080).describe('Node port of Grafana.'),
        url: z
          .string()
          .regex(/^https?:\/\/[^\s/@]+(\/\S*)?$/, 'must be an http or https address without user and token')
          .optional()
          .describe('Where people reach it: then each Application of Argo CD has a link to its dashboard.'),
        adminUser: z.string().min(1).default('chutes').describe('Name of the administrator.'),
        adminSecret: secretKey('grafana-admin', 'admin-password', 'Password of the administrator.'),
        resources: resources({ cpu: '100m', memory: '256Mi' }, { cpu: '1', memory: '512Mi' }),
        placement,
      })
      .prefault({})
      .describe('Grafana.'),
  })
  .prefault({})
  .describe('Metrics, alerts and dashboards.');
