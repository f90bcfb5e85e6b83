// Every error that a user or operator can meet has a stable code; docs/errors.md lists cause and fix for each.

export const errorCodes = [
  'E-CONFIG',
  'E-HOTKEY',
  'E-GUARD',
  'E-GIT-CONFLICT',
  'E-GIT-REPOSITORY',
  'E-VALIDATOR',
  'E-VALIDATOR-UNREACHABLE',
  'E-LAUNCH-REFUSED',
  'E-AGENT-UNREACHABLE',
  'E-MONITOR',
  'E-NAME-CONTEXT',
  'E-NODE',
  'E-ALREADY-ADDED',
  'E-GPU-REF',
  'E-VERIFICATION',
  'E-CLUSTER',
  'E-STORE',
  'E-EVENTS',
  'E-IN-USE',
  'E-LINK',
  'E-USAGE',
  'E-API-UNREACHABLE',
  'E-CLOCK-SKEW',
  'E-KUBECONFIG',
  'E-IMAGE',
  'E-ABORTED',
  'E-NOT-SUPPORTED',
  'E-CHAIN',
  'E-STRATEGY',
  'E-CACHE',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** An expected failure: `message` is one sentence a person can act on; `detail` is machine-readable. Never holds a secret. */
export class MinerError extends Error {
  readonly code: ErrorCode;
  readonly detail: Record<string, unknown> | undefined;
  constructor(code: ErrorCode, message: string, options: { detail?: Record<string, unknown>; cause?: unknown } = {}) {
    super(message, { cause: options.cause });
    this.name = 'MinerError';
    this.code = code;
    this.detail = options.detail;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
