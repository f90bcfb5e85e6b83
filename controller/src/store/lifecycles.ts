// What happened to each deployment and when. Every function may be repeated: times and links keep their first value.

import type { SQL } from 'drizzle-orm';
import type { DeploymentLifecycle } from '../domain/deployment.ts';
import { MinerError } from '../domain/errors.ts';
import type { LifecycleStep, Store } from '../domain/ports.ts';
import type { Database } from './database.ts';
import { and, eq, getTableColumns, isNull, or, sql } from './drizzle.ts';
import { driverFault } from './failures.ts';
import { distinct, idsParameter, inIds, rowsParameter, selectFromRows, time, withoutNulls } from './rows.ts';
import { deployments, servers } from './schema.ts';

type LifecycleStore = Pick<
  Store,
  'lifecycles' | 'addLifecycle' | 'mark' | 'setConfig' | 'linkInstance' | 'markInstance'
>;
type InstanceStep = Parameters<Store['markInstance']>[0];

const at = sql`${sql.placeholder('at')}::timestamptz`;
const instanceId = sql`${sql.placeholder('instanceId')}::text`;
const configId = sql`${sql.placeholder('configId')}::text`;
const id = { deploymentId: deployments.deploymentId };

function prepareReads(db: Database) {
  const { serverId: _joined, ...columns } = getTableColumns(deployments);
  const from = () =>
    db
      .select({ ...columns, server: servers.name })
      .from(deployments)
      .innerJoin(servers, eq(servers.serverId, deployments.serverId));
  const order = [deployments.plannedAt, deployments.deploymentId];
  const present = isNull(deployments.goneAt);
  const recent = sql`${deployments.goneAt} > ${sql.placeholder('since')}::timestamptz`;
  return {
    present: from()
      .where(present)
      .orderBy(...order)
      .prepare('lifecycles'),
    since: from()
      .where(or(present, recent))
      .orderBy(...order)
      .prepare('lifecycles_since'),
  };
}

function prepareMark(db: Database, step: LifecycleStep) {
  const column = deployments[step];
  return db
    .update(deployments)
    .set({ [step]: at })
    .where(and(inIds(deployments.deploymentId), isNull(column)))
    .prepare(`mark_${step}`);
}

/**
 * Updates the row of `match` while `open` holds; true when there is such a row, updated now or before. One round trip, and nothing is
 * written for what is known already: the reconciler says it again and again.
 */
function prepareOnce(db: Database, name: string, set: Record<string, SQL>, match: SQL, open: SQL | undefined) {
  const updated = db.$with('updated').as(db.update(deployments).set(set).where(and(match, open)).returning(id));
  const query = db.with(updated).select(id).from(deployments).where(match).limit(1).prepare(name);
  return async (values: Record<string, unknown>): Promise<boolean> => (await query.execute(values)).length > 0;
}

function prepareInstance(db: Database, step: InstanceStep) {
  const match = sql`(${deployments.instanceId} = ${instanceId} or ${deployments.configId} = ${configId})`;
  return prepareOnce(db, `instance_${step}`, { [step]: at }, match, isNull(deployments[step]));
}

export function lifecycleStore(db: Database): LifecycleStore {
  const reads = prepareReads(db);
  // The rows bring the server's name where the column holds its id.
  const serverIdByName = sql`(select ${servers.serverId} from ${servers} where ${servers.name} = row.server_id)`;
  const insert = db
    .insert(deployments)
    .select(selectFromRows(deployments, { serverId: serverIdByName }))
    .onConflictDoNothing({ target: deployments.deploymentId })
    .prepare('add_lifecycle');
  const marks = {
    tokenAt: prepareMark(db, 'tokenAt'),
    secretAt: prepareMark(db, 'secretAt'),
    committedAt: prepareMark(db, 'committedAt'),
    runningAt: prepareMark(db, 'runningAt'),
    claimedAt: prepareMark(db, 'claimedAt'),
    verifiedAt: prepareMark(db, 'verifiedAt'),
    activatedAt: prepareMark(db, 'activatedAt'),
    instanceGoneAt: prepareMark(db, 'instanceGoneAt'),
    undeployAt: prepareMark(db, 'undeployAt'),
    removedAt: prepareMark(db, 'removedAt'),
    goneAt: prepareMark(db, 'goneAt'),
  } satisfies Record<LifecycleStep, unknown>;
  const instanceMarks = {
    verifiedAt: prepareInstance(db, 'verifiedAt'),
    activatedAt: prepareInstance(db, 'activatedAt'),
    instanceGoneAt: prepareInstance(db, 'instanceGoneAt'),
  };
  const link = prepareOnce(
    db,
    'link_instance',
    {
      instanceId: sql`coalesce(${deployments.instanceId}, ${instanceId})`,
      claimedAt: sql`coalesce(${deployments.claimedAt}, ${at})`,
    },
    sql`${deployments.configId} = ${configId}`,
    or(isNull(deployments.instanceId), isNull(deployments.claimedAt)),
  );
  const config = db
    .update(deployments)
    .set({ configId: sql`${configId}` })
    .where(eq(deployments.deploymentId, sql.placeholder('deploymentId')))
    .returning(id)
    .prepare('set_config');

  async function lifecycles(since?: number): Promise<DeploymentLifecycle[]> {
    const rows = await (since === undefined ? reads.present.execute() : reads.since.execute({ since: time(since) }));
    return rows.map(withoutNulls);
  }

  async function addLifecycle(rows: readonly DeploymentLifecycle[]): Promise<void> {
    if (rows.length === 0) return;
    // The first of a doubled id is kept, as if it had been inserted before.
    const given = distinct(rows.toReversed(), (row) => row.deploymentId).map(({ server, ...row }) => ({
      ...row,
      serverId: server,
    }));
    try {
      await insert.execute({ rows: rowsParameter(deployments, given) });
    } catch (error) {
      const fault = driverFault(error);
      if (fault?.code !== '23502' || fault.column !== 'server_id') throw error;
      const known = new Set((await db.select({ name: servers.name }).from(servers)).map(({ name }) => name));
      const unknown = [...new Set(rows.map((row) => row.server))].filter((name) => !known.has(name));
      throw new MinerError('E-STORE', `no deployment was stored: server ${unknown.join(', ')} is not in the store`, {
        detail: { servers: unknown },
      });
    }
  }

  async function mark(step: LifecycleStep, deploymentIds: readonly string[], ms: number): Promise<void> {
    if (deploymentIds.length === 0) return;
    await marks[step].execute({ ids: idsParameter(deploymentIds), at: time(ms) });
  }

  async function setConfig(deploymentId: string, given: string): Promise<void> {
    const found = await config.execute({ deploymentId, configId: given });
    if (found.length === 0) throw new MinerError('E-STORE', `deployment ${deploymentId} is not in the store`);
  }

  async function linkInstance(ofConfig: string, instance: string, ms: number): Promise<boolean> {
    return link({ configId: ofConfig, instanceId: instance, at: time(ms) });
  }

  async function markInstance(
    step: InstanceStep,
    key: { instanceId?: string | undefined; configId?: string | undefined },
    ms: number,
  ): Promise<boolean> {
    if (key.instanceId === undefined && key.configId === undefined) return false;
    const values = { instanceId: key.instanceId ?? null, configId: key.configId ?? null, at: time(ms) };
    return instanceMarks[step](values);
  }

  return { lifecycles, addLifecycle, mark, setConfig, linkInstance, markInstance };
}
