// Members that are well, for tests.

import type { MemberHealth } from '../../domain/deployment.ts';
import * as f from '../../gepetto/fixtures.ts';

export function healthy(...names: string[]): Map<string, MemberHealth> {
  return new Map(names.map((name) => [name, { state: 'healthy', since: 0, syncedAt: f.now }]));
}
