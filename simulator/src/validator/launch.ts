// Launch configs: who may start a chute or a job now, and the token its pod claims with (protocol.md 6.4).

import { randomBytes, randomUUID } from 'node:crypto';
import { jwtVerify, SignJWT } from 'jose';
import { type Answer, type Call, Refusal, type Route } from './http.ts';
import { isUnstable } from './lifecycle.ts';
import { type Chute, findChute, hasRoom } from './market.ts';
import { ownServers } from './nodes.ts';
import type { ConfigState, JobState } from './records.ts';
import type { World } from './world.ts';

const tokenSeconds = 7200;
/** Miners that may try for one job at the same time. */
const mostRacing = 15;

function tokenKey(world: World): Uint8Array {
  return Buffer.from(world.state.tokenKey, 'base64');
}

export function claimUrl(world: World, configId: string): string {
  return `${world.url()}/instances/launch_config/${configId}`;
}

async function issueToken(world: World, config: ConfigState, job: JobState | undefined): Promise<string> {
  const issued = Math.floor(config.issuedAt / 1000);
  const claims = { url: claimUrl(world, config.configId), env_key: config.envKey };
  return await new SignJWT(job ? { ...claims, job_id: job.jobId, disk_gb: job.diskGb } : claims)
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setIssuer('chutes')
    .setSubject(config.configId)
    .setIssuedAt(issued)
    .setExpirationTime(issued + tokenSeconds)
    .sign(tokenKey(world));
}

/** The launch config that the request's token is for. 401 unless the token is ours and not expired. */
export async function configOfBearer(world: World, call: Call): Promise<ConfigState> {
  const denied = new Refusal(401, 'the launch token is not valid');
  const { authorization } = call.headers;
  let configId = '';
  if (typeof authorization !== 'string') throw denied;
  try {
    const options = { issuer: 'chutes', algorithms: ['HS256'], currentDate: new Date(world.clock.now()) };
    const { payload } = await jwtVerify(authorization, tokenKey(world), options);
    configId = payload.sub ?? '';
  } catch {
    throw denied;
  }
  const config = Object.hasOwn(world.state.configs, configId) ? world.state.configs[configId] : undefined;
  if (!config) throw denied;
  return config;
}

/** The same, for requests that name the config in their path: 401 for a token of another one. */
export async function configOfToken(world: World, call: Call): Promise<ConfigState> {
  const config = await configOfBearer(world, call);
  if (config.configId !== call.params.config_id) throw new Refusal(401, 'the launch token is not valid');
  return config;
}

function takeJob(world: World, jobId: string, chuteId: string, hotkey: string): JobState {
  const job = Object.hasOwn(world.state.jobs, jobId) ? world.state.jobs[jobId] : undefined;
  if (!job || job.chuteId !== chuteId || job.finishedAt !== null) throw new Refusal(404, 'no such job');
  if (job.exclude.includes(hotkey)) throw new Refusal(403, 'this miner is excluded from the job');
  if (job.attempted.includes(hotkey)) {
    world.violation('job-retried', `job ${jobId}`);
    throw new Refusal(403, 'this miner has tried the job already');
  }
  if (job.instanceId !== null) throw new Refusal(423, 'the job is taken');
  if (job.attempted.length >= mostRacing) throw new Refusal(423, `${mostRacing} miners try for the job already`);
  job.attempted.push(hotkey);
  return job;
}

function checkChute(world: World, chute: Chute, hotkey: string): void {
  const { state, entry } = chute;
  if (state.disabled) throw new Refusal(423, 'the chute is disabled');
  if (!entry.item.public && isUnstable(world, hotkey)) throw new Refusal(403, 'too many bad terminations');
  if (!entry.item.public && !state.bounty) throw new Refusal(423, 'a private chute without bounty');
  if (!hasRoom(world, chute)) throw new Refusal(423, 'the chute is at its target');
}

function forgetExpired(world: World): void {
  const before = world.clock.now() - 2 * tokenSeconds * 1000;
  for (const [id, { issuedAt, instanceId }] of Object.entries(world.state.configs)) {
    if (instanceId === null && issuedAt < before) delete world.state.configs[id];
  }
}

async function launchConfig(world: World, call: Call): Promise<Answer> {
  const { chute_id: chuteId, job_id: jobId } = call.query;
  if (!chuteId) throw new Refusal(422, 'chute_id is missing');
  if (world.state.outage === 'error') throw new Refusal(503, 'the validator is out of order');
  if (world.state.blacklist.includes(call.hotkey)) throw new Refusal(403, 'the miner is blacklisted');
  const chute = findChute(world, chuteId);
  if (!chute) throw new Refusal(404, 'no such chute');
  if (chute.entry.item.tee && !ownServers(world, call.hotkey).some(({ isTee }) => isTee)) {
    throw new Refusal(400, 'the chute needs a confidential server, and this miner has none');
  }
  if (!jobId && chute.entry.item.cords.length === 0) throw new Refusal(400, 'the chute runs jobs only');
  const job = jobId ? takeJob(world, jobId, chuteId, call.hotkey) : undefined;
  if (!job) checkChute(world, chute, call.hotkey);
  const config: ConfigState = {
    configId: randomUUID(),
    chuteId,
    version: chute.state.version,
    minerHotkey: call.hotkey,
    jobId: job?.jobId ?? null,
    envKey: randomBytes(16).toString('hex'),
    issuedAt: world.clock.now(),
    spentAt: null,
    instanceId: null,
  };
  forgetExpired(world);
  world.state.configs[config.configId] = config;
  world.changed();
  return { body: { token: await issueToken(world, config, job), config_id: config.configId } };
}

export function launchRoutes(world: World): Route[] {
  const handle = (call: Call) => launchConfig(world, call);
  return [{ method: 'GET', path: '/instances/launch_config', signed: 'launch', handle }];
}
