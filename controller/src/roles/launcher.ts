// Launch: token from the validator, row in the store, Secret on the member, in this order, so that the validator's later events always
// find the row and the pod finds its token (protocol.md trap 11). Only the controller does this: it alone holds the hotkey.

import type { Clock } from '../domain/clock.ts';
import type { DeploymentSpec } from '../domain/deployment.ts';
import { messageOf } from '../domain/errors.ts';
import { lifecycleOf } from '../domain/lifecycle.ts';
import type { LaunchOutcome, Members, Store, ValidatorClient } from '../domain/ports.ts';

export interface LauncherParts {
  validators: ReadonlyMap<string, Pick<ValidatorClient, 'launchConfig'>>;
  store: Pick<Store, 'addLifecycle' | 'mark'>;
  members: Pick<Members, 'writeLaunchSecret' | 'deleteLaunchSecret'>;
  clock: Pick<Clock, 'now'>;
  /** Node UID of a server, by its name. */
  serverId(server: string): string | undefined;
  onOutcome?(validator: string, outcome: 'granted' | 'refused' | 'failed'): void;
}

/** Status of an outcome that failed on our side of the line: the member did not take the Secret. */
const memberFailed = -1;
/** As if the validator had not answered: tried again soon. */
const unknownFailure = 0;

function nameOf(outcome: LaunchOutcome): 'granted' | 'refused' | 'failed' {
  if (outcome.granted) return 'granted';
  return outcome.status >= 400 && outcome.status < 500 ? 'refused' : 'failed';
}

export function createLauncher({ validators, store, members, clock, serverId, onOutcome }: LauncherParts) {
  async function launchAndTell(spec: DeploymentSpec): Promise<LaunchOutcome> {
    // One that fails must not hide that others of the batch were granted.
    const outcome = await launchOne(spec).catch(
      (error: unknown): LaunchOutcome => ({ granted: false, status: unknownFailure, detail: messageOf(error) }),
    );
    onOutcome?.(spec.validator, nameOf(outcome));
    return outcome;
  }

  async function launchOne(spec: DeploymentSpec): Promise<LaunchOutcome> {
    const validator = validators.get(spec.validator);
    if (!validator)
      return { granted: false, status: memberFailed, detail: `validator ${spec.validator} is not configured` };
    const plannedAt = clock.now();
    const answer = await validator.launchConfig(spec.chuteId, spec.jobId, serverId(spec.server));
    if (!answer.granted) return answer;
    const { configId, token } = answer;
    await store.addLifecycle([{ ...lifecycleOf(spec, plannedAt), configId, tokenAt: clock.now() }]);
    try {
      await members.writeLaunchSecret(spec.server, spec.deploymentId, token);
    } catch (error) {
      return { granted: false, status: memberFailed, detail: `no Secret on ${spec.server}: ${messageOf(error)}` };
    }
    await store.mark('secretAt', [spec.deploymentId], clock.now());
    return { granted: true, configId };
  }

  return {
    launch: (specs: readonly DeploymentSpec[]): Promise<LaunchOutcome[]> => Promise.all(specs.map(launchAndTell)),
    /** Best effort: what stays behind is found by the sweep. */
    async cancel(specs: readonly DeploymentSpec[]): Promise<void> {
      await Promise.allSettled(specs.map((spec) => members.deleteLaunchSecret(spec.server, spec.deploymentId)));
    },
  };
}
