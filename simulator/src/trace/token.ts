// The validator's answer when a launch asks for a token (trace format, section 4.2).

import { type Chute, inOutage, isPrivate, type Market, quotaUsed } from './state.ts';

const memorySeconds = 7 * 86400;
const fewestTerminations = 10;
const badShare = 0.3;

export type TokenCode = 'granted' | '503' | '423' | '403';

function isUnstable({ terminations, now }: Market): boolean {
  const recent = terminations.filter(({ at }) => at > now - memorySeconds);
  const bad = recent.filter((termination) => termination.bad).length;
  return recent.length >= fewestTerminations && bad >= badShare * recent.length;
}

export function askToken(market: Market, chute: Chute, isJob: boolean): TokenCode {
  if (inOutage(market, 'error')) return '503';
  if (isJob) return 'granted';
  if (chute.disabled || !chute.scalable || quotaUsed(chute, market.now) >= chute.targetCount) return '423';
  if (!isPrivate(chute)) return 'granted';
  if (!chute.bounty) return '423';
  return isUnstable(market) ? '403' : 'granted';
}
