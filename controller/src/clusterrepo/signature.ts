// OpenPGP signatures of commits, made by gpg. The key stays in gpg's own folder.

import { MinerError } from '../domain/errors.ts';
import { plainEnvironment, runProgram } from './program.ts';

export interface SigningOptions {
  /** Folder of gpg with the secret key, which has no passphrase. */
  gpgHome: string;
  /** Fingerprint or key id. */
  keyId: string;
}

/** Armored signature of a commit's bytes; rejects with E-GIT-REPOSITORY when gpg cannot make one. */
export type Sign = (payload: Buffer) => Promise<string>;

const signTimeoutMs = 15_000;

export function createSign({ gpgHome, keyId }: SigningOptions): Sign {
  const flags = ['--batch', '--no-tty', '--homedir', gpgHome, '--local-user', keyId, '--detach-sign', '--armor'];
  return async (input) => {
    const result = await runProgram('gpg', flags, { env: plainEnvironment(), input, timeoutMs: signTimeoutMs });
    if (result.code === 0 && result.stdout.startsWith('-----BEGIN PGP SIGNATURE-----')) return result.stdout;
    const why = result.timedOut ? 'no answer in time' : result.stderr.trim().split('\n').at(-1);
    throw new MinerError('E-GIT-REPOSITORY', `commits cannot be signed with key ${keyId} of ${gpgHome}: ${why}`);
  };
}
