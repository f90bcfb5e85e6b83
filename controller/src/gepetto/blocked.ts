// What the policy kept from happening in one plan, counted by rule and told in one sentence each.

import type { Policy } from '../domain/policy.ts';
import type { Rule, Used } from './policy.ts';

export interface Blocked {
  /** Field of miner.yaml, for example `policy.costCeiling`. */
  rule: string;
  /** Chutes that did not start, or removals that wait. */
  count: number;
  sentence: string;
}

export interface BlockedList {
  /** One thing counts once for a rule. */
  note(rule: Rule, id: string, name: string): void;
  /** USD per hour before the plan. */
  cost(before: number): void;
  blocked(): Blocked[];
}

const shownNames = 3;

export function createBlockedList(policy: Policy, used: Used): BlockedList {
  const namesById = new Map<Rule, Map<string, string>>();
  let costBefore = 0;

  /** The setting and how far it is used up, where that is one number. */
  function setting(rule: Rule): string {
    const { mode, costCeiling, reserve, limits } = policy;
    const within = `in ${limits.minutes} minutes`;
    switch (rule) {
      case 'mode':
        return ` (${mode})`;
      case 'costCeiling':
        return ` (${costCeiling} USD per hour, ${costBefore.toFixed(2)} in use)`;
      case 'reserve.total':
        return ` (${reserve.total} GPUs)`;
      case 'limits.launches':
        return ` (${limits.launches} ${within}, ${used.launches} before this plan)`;
      case 'limits.removals':
        return ` (${limits.removals} ${within}, ${used.removals} before this plan)`;
      default:
        return '';
    }
  }

  return {
    note(rule, id, name) {
      const names = namesById.get(rule) ?? new Map<string, string>();
      namesById.set(rule, names.set(id, name));
    },
    cost(before) {
      costBefore = before;
    },
    blocked() {
      return [...namesById].map(([rule, names]) => {
        const all = [...names.values()];
        const more = all.length > shownNames ? ` and ${all.length - shownNames} more` : '';
        const sentence = `policy.${rule}${setting(rule)} holds back ${all.length}: ${all.slice(0, shownNames).join(', ')}${more}`;
        return { rule: `policy.${rule}`, count: all.length, sentence };
      });
    },
  };
}
