// The control plane's URL on the host's disk, so that an agent that was restarted goes on. Nothing but an http or https URL is ever read
// from it or written to it.

import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface UrlFile {
  /** Undefined when there is none, or none that is a URL. Rejects when the disk cannot be read. */
  read(): Promise<string | undefined>;
  /** Whole or not at all, also when the power fails. */
  write(url: string): Promise<void>;
  forget(): Promise<void>;
}

/** An http or https URL, as it was given. */
export function isControlPlaneUrl(text: string): boolean {
  return text.length <= 2048 && URL.canParse(text) && /^https?:\/\/[^\s/]+/.test(text);
}

/** `dir` is made if it does not exist. */
export function createUrlFile(dir: string): UrlFile {
  const path = join(dir, 'control_plane_url');
  return {
    async read() {
      try {
        const text = (await readFile(path, 'utf8')).trim();
        return isControlPlaneUrl(text) ? text : undefined;
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
        throw error;
      }
    },
    async write(url) {
      await mkdir(dir, { recursive: true });
      await writeFile(`${path}.new`, `${url}\n`, { flush: true });
      await rename(`${path}.new`, path);
    },
    forget: () => rm(path, { force: true }),
  };
}
