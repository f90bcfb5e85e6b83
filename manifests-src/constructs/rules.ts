// The checks every construct makes before it renders: a broken rule throws E-GUARD and names the rule, what was found and what is
// allowed. Rule numbers are those of kubernetes.md 8.

import { MinerError } from '@miner/controller/domain/errors.ts';
import { isUuid } from '@miner/controller/domain/ids.ts';

const labelValue = /^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/;

/** Throws E-GUARD unless `holds`; `rule` is the number, or a word where the reference has none. */
export function demand(holds: boolean, rule: string, found: string, allowed: string): asserts holds {
  if (holds) return;
  throw new MinerError('E-GUARD', `${rule}: ${found}, but ${allowed}`, { detail: { rule, found, allowed } });
}

/** R32: an id must be a UUID before it becomes part of a name or a host path. */
export function demandUuid(field: string, value: string): void {
  demand(isUuid(value), 'R32', `${field} is "${value}"`, 'it must be a lower-case UUID');
}

/** R27: what Kubernetes accepts as a label value, at most 63 characters. */
export function demandLabels(labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    demand(value.length <= 63, 'R27', `label ${key} has ${value.length} characters`, 'a label value has at most 63');
    demand(
      labelValue.test(value),
      'R27',
      `label ${key} is "${value}"`,
      'a label value holds letters, digits and inner dots, dashes and underscores',
    );
  }
}
