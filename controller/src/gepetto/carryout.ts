// Carries out what a plan asks for besides commits. All of it may be repeated without harm.

import type { Clock } from '../domain/clock.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { messageOf } from '../domain/errors.ts';
import { lifecycleOf } from '../domain/lifecycle.ts';
import type { ControllerLink, Store } from '../domain/ports.ts';
import type { Effect } from './effects.ts';

export interface EffectPorts {
  clock: Pick<Clock, 'now'>;
  link: Pick<ControllerLink, 'deleteInstance' | 'releaseJob'>;
  store: Pick<Store, 'addLifecycle' | 'mark' | 'linkInstance' | 'markInstance'>;
  /** Something that a person should read. */
  report(message: string, detail?: Record<string, unknown>): void;
}

/** True when the next plan may differ: GPUs came free, a launch ended one way or the other, or the validator let an instance go. */
export async function carryOut(effect: Effect, ports: EffectPorts): Promise<boolean> {
  const { store, clock } = ports;
  switch (effect.kind) {
    case 'adopt':
      await store.addLifecycle([{ ...lifecycleOf(effect.spec, clock.now()), committedAt: clock.now() }]);
      return false;
    case 'mark':
      await store.mark(effect.step, [effect.deploymentId], effect.at);
      return effect.step === 'goneAt' || effect.step === 'removedAt';
    case 'finish-removal':
      await store.mark('removedAt', [effect.deploymentId], effect.at);
      return true;
    case 'release-job':
      await releaseJob(effect.validator, effect.jobId, ports);
      return false;
    case 'link-instance':
      await store.linkInstance(effect.configId, effect.instanceId, effect.at);
      return false;
    case 'mark-instance':
      await store.markInstance(effect.step, { instanceId: effect.instanceId }, effect.at);
      return effect.step === 'activatedAt';
    case 'delete-instance':
      try {
        await ports.link.deleteInstance(effect.validator, effect.chuteId, effect.instanceId);
      } catch (error) {
        // The next pass asks again.
        ports.report(`instance ${effect.instanceId} could not be deleted at the validator: ${messageOf(error)}`);
        return false;
      }
      await store.markInstance('instanceGoneAt', { instanceId: effect.instanceId }, clock.now());
      return effect.deploymentId !== undefined;
  }
}

/** Let other miners have the jobs of deployments that never came up. */
export async function releaseJobs(specs: readonly DeploymentSpec[], ports: EffectPorts): Promise<void> {
  for (const { validator, jobId } of specs) if (jobId !== undefined) await releaseJob(validator, jobId, ports);
}

/** Best effort: the validator gives a silent job to others by itself. */
async function releaseJob(validator: string, jobId: string, { link, report }: EffectPorts): Promise<void> {
  try {
    await link.releaseJob(validator, jobId);
  } catch (error) {
    report(`job ${jobId} could not be released: ${messageOf(error)}`);
  }
}
