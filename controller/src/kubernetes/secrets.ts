// Launch Secrets: `launch-<deployment id>` with the launch token under key `token`, written just before the deployment is committed
// (kubernetes.md R3). No token ever enters a message; listing asks for metadata only.

import { setHeaderOptions, type V1Secret } from '@kubernetes/client-node';
import { type Connection, hasStatus, unlessMissing } from './connection.ts';

const selector = 'chutes/launch=true';
const metadataOnly = 'application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json';

const secretName = (deploymentId: string): string => `launch-${deploymentId}`;

function launchSecret(namespace: string, deploymentId: string, token: string): V1Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: secretName(deploymentId),
      namespace,
      labels: { 'chutes/deployment-id': deploymentId, 'chutes/launch': 'true' },
    },
    type: 'Opaque',
    data: { token: Buffer.from(token).toString('base64') },
  };
}

/** Create, or replace if it is there. */
export async function writeLaunchSecret(
  connection: Connection,
  namespace: string,
  deploymentId: string,
  token: string,
): Promise<void> {
  const { core } = connection;
  const body = launchSecret(namespace, deploymentId, token);
  const name = secretName(deploymentId);
  const write = (run: () => Promise<unknown>) => connection.call(`write Secret ${name}`, run, { quiet: true });
  const create = () => write(() => core.createNamespacedSecret({ namespace, body }));
  try {
    await create();
  } catch (error) {
    if (!hasStatus(error, 409)) throw error;
    const replaced = await unlessMissing(write(() => core.replaceNamespacedSecret({ namespace, name, body })));
    // Deleted between the two calls.
    if (!replaced) await create();
  }
}

export async function deleteLaunchSecret(
  connection: Connection,
  namespace: string,
  deploymentId: string,
): Promise<void> {
  const name = secretName(deploymentId);
  await unlessMissing(
    connection.call(`delete Secret ${name}`, () => connection.core.deleteNamespacedSecret({ namespace, name })),
  );
}

/** Deployment ids, sorted. */
export async function launchSecrets(connection: Connection, namespace: string): Promise<string[]> {
  const list = await connection.call('list launch Secrets', () =>
    connection.core.listNamespacedSecret(
      { namespace, labelSelector: selector },
      setHeaderOptions('Accept', metadataOnly),
    ),
  );
  // An empty list of metadata alone comes as null.
  return (list.items ?? []).flatMap(({ metadata }) => metadata?.labels?.['chutes/deployment-id'] ?? []).sort();
}
