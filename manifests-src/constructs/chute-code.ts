// The ConfigMap with a chute's source file, for libraries that read it from a mount (kubernetes.md 3.4). It depends on the chute alone:
// deployments of the same chute and version on a server render the same object.

import type { Chute } from '@miner/controller/domain/chute.ts';
import { k8s } from 'cdk8s-plus-28';
import type { JsonObject } from '../yaml.ts';
import { codeName, namespace } from './chute-props.ts';
import { demand, demandLabels, demandUuid } from './rules.ts';

/** Kubernetes' limit for the data of a ConfigMap, bytes. */
const maxBytes = 1024 * 1024;

/** The source of a chute that mounts it; throws E-GUARD when it is missing, too large or its file name cannot be a key. */
export function codeOf(chute: Chute): { filename: string; code: string } {
  const { filename, code } = chute;
  demand(code !== undefined, 'R7', `no source is known of chute ${chute.chuteId}`, `${filename} must be mounted`);
  const bytes = Buffer.byteLength(code);
  demand(bytes <= maxBytes, 'R7', `${filename} has ${bytes} bytes`, `a ConfigMap holds at most ${maxBytes}`);
  demand(
    /^[A-Za-z0-9_.-]{1,253}$/.test(filename) && !filename.startsWith('..') && filename !== '.',
    'R8',
    `file name is "${filename}"`,
    'it must be a plain name of letters, digits, dots, dashes and underscores',
  );
  return { filename, code };
}

/** Throws E-GUARD when R7 or R8 is broken. */
export function chuteCode(chute: Chute): JsonObject {
  demandUuid('chute id', chute.chuteId);
  const { filename, code } = codeOf(chute);
  const labels = { 'chutes/chute-id': chute.chuteId, 'chutes/code': 'true', 'chutes/version': chute.version };
  demandLabels(labels);
  return k8s.KubeConfigMap.manifest({
    metadata: { name: codeName(chute.chuteId, chute.version), namespace, labels },
    data: { [filename]: code },
  });
}
