// PostgreSQL of the control plane: one pod, reached only by pods that say so in a label.

import type { MinerConfig } from '@miner/controller/domain/config.ts';
import { Construct } from 'constructs';
import { Claim, dataVolume } from './claim.ts';
import { container, secretVolume, tcpProbe } from './container.ts';
import { Singleton } from './deployment.ts';
import { labelsOf, chutesNamespace as namespace } from './names.ts';
import { Policy, pods, tcp } from './network-policy.ts';
import { postgresAccess } from './program.ts';
import { PartService } from './service.ts';

/** User `postgres` of the image. */
const user = 999;
const dataFolder = '/var/lib/postgresql/data';

export class Postgres extends Construct {
  constructor(scope: Construct, id: string, { config }: { config: MinerConfig }) {
    super(scope, id);
    const { database, user: login, storage, resources, placement, annotations } = config.postgres;
    const labels = labelsOf('chutes-postgres');
    const { size, storageClass, kind } = storage;
    if (kind === 'claim')
      new Claim(this, 'claim', { name: 'postgres-data', namespace, size, storageClass, wave: 'store' });
    const ready = { command: ['pg_isready', '--quiet', '--username', login, '--dbname', database] };
    new Singleton(this, 'postgres', {
      name: 'postgres',
      namespace,
      labels,
      annotations,
      wave: 'store',
      user,
      placement,
      // A fast shutdown writes a checkpoint.
      graceSeconds: 120,
      imagePullSecrets: config.secrets.imagePull,
      containers: [
        container({
          name: 'postgres',
          image: config.images.postgres,
          env: [
            { name: 'POSTGRES_DB', value: database },
            { name: 'POSTGRES_USER', value: login },
            { name: 'POSTGRES_PASSWORD_FILE', value: '/run/secrets/postgres/password' },
            // The top of a new volume may hold lost+found; the host's folder is the one upstream wrote to.
            { name: 'PGDATA', value: kind === 'host' ? dataFolder : `${dataFolder}/pgdata` },
          ],
          resources,
          ports: { postgres: 5432 },
          startup: { ...tcpProbe('postgres', 5), failureThreshold: 120 },
          readiness: { exec: ready, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3 },
          liveness: { exec: ready, periodSeconds: 30, timeoutSeconds: 10, failureThreshold: 6 },
          mounts: [
            { name: 'data', mountPath: dataFolder },
            { name: 'password', mountPath: '/run/secrets/postgres', readOnly: true },
            { name: 'run', mountPath: '/var/run/postgresql' },
            { name: 'tmp', mountPath: '/tmp' },
          ],
        }),
      ],
      volumes: [
        dataVolume({ kind, claim: 'postgres-data', hostPath: '/var/snap/postgres-data' }),
        secretVolume('password', config.secrets.postgres, 'password'),
        { name: 'run', emptyDir: {} },
        { name: 'tmp', emptyDir: {} },
      ],
    });
    new PartService(this, 'service', { name: 'postgres', namespace, labels, port: { name: 'postgres', number: 5432 } });
    new Policy(this, 'policy', {
      name: 'postgres',
      namespace,
      selector: { matchLabels: labels },
      ingress: [{ from: [pods(postgresAccess)], ports: tcp(5432) }],
    });
  }
}
