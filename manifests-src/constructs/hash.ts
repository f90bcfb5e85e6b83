// A pod that mounts a ConfigMap is replaced when its content changes: the content's hash is one of its annotations.

import { createHash } from 'node:crypto';

export function configHash(data: Readonly<Record<string, string>>): Record<string, string> {
  const sorted = Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    'chutes-miner.io/config-hash': createHash('sha256').update(JSON.stringify(sorted)).digest('hex').slice(0, 16),
  };
}
