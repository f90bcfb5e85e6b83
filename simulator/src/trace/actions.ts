// Applies one answer of a strategy: the checks that come first, then the token, then the deed (trace format, section 5.3).

import { checkDeploy, checkServer, type DeployPlan } from './checks.ts';
import { launch } from './lifecycle.ts';
import { type Action, type ActionResult, actionSchema, type DeployAction } from './protocol.ts';
import { badRemoval, type EndReason, removeDeployment } from './removal.ts';
import type { Deployment, Market } from './state.ts';
import { askToken } from './token.ts';
import type { Refusal, ViolationCode } from './violations.ts';

type Outcome = Pick<ActionResult, 'result' | 'detail'>;

export function countViolation(market: Market, code: ViolationCode): void {
  const { violations } = market.tally;
  violations.set(code, (violations.get(code) ?? 0) + 1);
}

function refuse(market: Market, code: Refusal): Outcome {
  countViolation(market, code);
  return { result: 'violation', detail: code };
}

function removeByAction(market: Market, deployment: Deployment, reason: EndReason): void {
  const broken = badRemoval(deployment, market.now);
  if (broken) countViolation(market, broken);
  removeDeployment(market, deployment, reason);
}

function carryOut(market: Market, plan: DeployPlan): Outcome {
  const { chute, server, job, gpus, victims } = plan;
  const code = askToken(market, chute, job !== null);
  if (code !== 'granted') return { result: 'denied', detail: code };
  if (job) market.attempted.add(job.job_id);
  const usesVictims = gpus.some(({ owner }) => owner !== null);
  for (const victim of victims) removeByAction(market, victim, 'preempted');
  market.tally.preemptions += victims.length;
  const { id } = launch(market, { chute, server, gpus, usesVictims, job });
  return { result: 'ok', detail: id };
}

function deploy(market: Market, action: DeployAction, victims: readonly string[]): Outcome {
  const plan = checkDeploy(market, action, victims);
  return typeof plan === 'string' ? refuse(market, plan) : carryOut(market, plan);
}

function undeploy(market: Market, id: string): Outcome {
  const deployment = market.deployments.get(id);
  if (!deployment) return refuse(market, 'unknown_deployment');
  const closed = checkServer(market, deployment.server);
  if (closed) return refuse(market, closed);
  removeByAction(market, deployment, 'removed');
  return { result: 'ok', detail: id };
}

function apply(market: Market, action: Action): Outcome {
  if (action.type === 'undeploy') return undeploy(market, action.deployment_id);
  if (action.type === 'deploy') return deploy(market, action, []);
  // A victim named twice would be removed twice.
  if (new Set(action.victims).size < action.victims.length) return refuse(market, 'bad_action');
  return deploy(market, action.deploy, action.victims);
}

/** Applies the actions of an answer in order at the market's time. Whatever an answer holds, this does not throw. */
export function applyAnswer(market: Market, answer: unknown): ActionResult[] {
  if (!Array.isArray(answer)) {
    countViolation(market, 'bad_answer');
    return [];
  }
  const results: ActionResult[] = [];
  const done = new Set<string | number>();
  for (const [index, item] of answer.entries()) {
    const parsed = actionSchema.safeParse(item);
    if (!parsed.success) {
      results.push({ index, ...refuse(market, 'bad_action') });
      continue;
    }
    const action = parsed.data;
    const group = action.type === 'deploy' ? (action.group ?? undefined) : undefined;
    if (group !== undefined && done.has(group)) continue;
    const outcome = apply(market, action);
    if (group !== undefined && outcome.result === 'ok') done.add(group);
    results.push({ index, ...outcome });
  }
  return results;
}
