// Which steps verify a server: its node says whether it is a confidential VM.

import type { Verification } from '../domain/verification.ts';
import { gravalAgainSteps, gravalSteps } from './graval.ts';
import { recallSteps } from './recall.ts';
import type { Step } from './sequence.ts';
import { teeAgainSteps, teeSteps } from './tee.ts';

export function stepsOf({ kind, node }: Pick<Verification, 'kind' | 'node'>): readonly Step[] {
  const tee = node.labels['chutes/tee'] === 'true';
  if (kind === 'recall') return recallSteps;
  if (kind === 'again') return tee ? teeAgainSteps : gravalAgainSteps;
  return tee ? teeSteps : gravalSteps;
}
