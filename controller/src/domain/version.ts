// What the version of the chutes library in an image decides. Only X.Y.Z is compared: `0.3.11.rc3` counts as 0.3.11,
// and a missing or unreadable version as 0.0.0 (reference/gepetto.md K8-K10, kubernetes.md 9.6).

type Triple = readonly [number, number, number];

function parse(version: string | null | undefined): Triple {
  const match = /^(\d+)\.(\d+)\.(\d+)/.exec(version ?? '');
  return match ? [Number(match[1]), Number(match[2]), Number(match[3])] : [0, 0, 0];
}

/** True if `version` is `minimum` or newer. */
export function atLeast(version: string | null | undefined, minimum: string): boolean {
  const have = parse(version);
  const want = parse(minimum);
  for (const i of [0, 1, 2] as const) {
    if (have[i] !== want[i]) return have[i] > want[i];
  }
  return true;
}

interface Versioned {
  chutesVersion?: string | null | undefined;
  tee?: boolean;
}

/** From 0.3.0 on the pod claims its own instance with a launch token; before, the miner announces it. */
export function needsLaunchToken(chute: Versioned): boolean {
  return atLeast(chute.chutesVersion, '0.3.0');
}

/** Port of `/_alive`: the logging server from 0.3.3 on, the main one before. */
export function probePort(chute: Versioned): 8000 | 8001 {
  return atLeast(chute.chutesVersion, '0.3.3') ? 8001 : 8000;
}

/** Older libraries read their code from a mounted file; newer ones and TEE chutes carry it in the image. */
export function mountsCode(chute: Versioned): boolean {
  return !chute.tee && !atLeast(chute.chutesVersion, '0.3.61');
}

/** TEE chutes from 0.6.0 on answer attestation on port 8002. */
export function hasAttestationPort(chute: Versioned): boolean {
  return chute.tee === true && atLeast(chute.chutesVersion, '0.6.0');
}
