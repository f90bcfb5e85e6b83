// More words of the scenes: servers by number, the last commit about something, a fleet that has aged.

import type { ServerConfig } from '@miner/controller/domain/config.ts';
import type { ChuteView } from '@miner/simulator/validator/views.ts';
import postgres from 'postgres';
import { git, push } from './bootstrap.ts';
import { writeServerFile } from './miner.ts';
import { coldChute, type Deployment, type Scene, untilActive, untilPlanned, want } from './scene.ts';

export function nameOf({ fleet }: Scene, index: number): string {
  const name = fleet.servers[index]?.server.name;
  if (name === undefined) throw new Error(`the fleet has no server ${index}`);
  return name;
}

/** Message of the newest commit on `live` that names this. */
export function lastMessage({ fleet }: Scene, text: string): string {
  return git(fleet.git.gitdir, 'log', '-1', '--format=%B', `--grep=${text}`, 'live');
}

export function writeServer({ miner }: Scene, name: string, change: Partial<ServerConfig>): void {
  writeServerFile(miner, name, change);
}

/** What is active now counts as active for that much longer, ms: nothing is removed in its first hour. */
export async function agedBy({ fleet }: Scene, ms: number): Promise<void> {
  const sql = postgres(fleet.postgres.url, { max: 1, onnotice: () => undefined });
  await sql`update deployments set activated_at = activated_at - ${`${ms} ms`}::interval,
    planned_at = planned_at - ${`${ms} ms`}::interval where activated_at is not null`.finally(() => sql.end());
}

/** A deployment that is active on this server and nowhere else; the others take nothing meanwhile. */
export async function activeOn(
  scene: Scene,
  name: string,
  suits: (chute: ChuteView) => boolean = () => true,
): Promise<Deployment> {
  const others = scene.fleet.servers.map(({ server }) => server.name).filter((one) => one !== name);
  for (const other of others) writeServer(scene, other, { locked: true });
  await untilPlanned(scene);
  const { chuteId } = await coldChute(scene, name, 1, suits);
  want(scene, chuteId, 1);
  const [deployment] = await untilActive(scene, chuteId);
  for (const other of others) writeServer(scene, other, { locked: false });
  if (deployment?.server !== name) throw new Error(`${chuteId} is active on ${deployment?.server}, not on ${name}`);
  return deployment;
}

/** Launch tokens that were spent on a deployment that had claimed before. */
export function spentAgain({ fleet }: Scene): number {
  const firsts = Object.values(fleet.ledger.launches()).filter(({ claimedAt }) => claimedAt !== undefined);
  return fleet.validator.stats().claims - firsts.length;
}

/** A cold chute that suits the model of this server and of no other. */
export async function onlyFor(scene: Scene, name: string): Promise<ChuteView> {
  const models = scene.fleet.servers.map(({ server }) => server).filter((one) => one.name !== name);
  return coldChute(scene, name, 1, ({ supportedGpus }) =>
    models.every(({ gpuShortRef }) => !supportedGpus.includes(gpuShortRef)),
  );
}

/** Until a pass was made that began after this was called: an empty commit on `main` marks it. */
export async function passAfter(scene: Scene): Promise<void> {
  const folder = scene.miner.person('main');
  git(folder, 'commit', '--quiet', '--allow-empty', '-m', 'Nothing');
  push(folder, 'main');
  await untilPlanned(scene);
}
