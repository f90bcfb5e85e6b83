// What registries say today about the images of a cluster repository; an image that several parts share is asked for once.

import { withoutDigest } from '@miner/controller/domain/values/images.ts';
import type { Context } from '../command.ts';
import { asCliError } from '../errors.ts';
import { digestNow } from './digest.ts';
import { type NamedImage, readLogins } from './file.ts';

export interface LookedUp extends NamedImage {
  /** `sha256:…` that the tag stands for now; undefined when nobody could say. */
  digest: string | undefined;
  problem: string | undefined;
}

const atOnce = 4;

export async function lookUp(images: readonly NamedImage[], { io, out }: Context): Promise<LookedUp[]> {
  const logins = await readLogins(io.env);
  const answers = new Map<string, Promise<Pick<LookedUp, 'digest' | 'problem'>>>();
  const waiting = [...new Set(images.map(({ image }) => withoutDigest(image)))];

  async function ask(image: string): Promise<Pick<LookedUp, 'digest' | 'problem'>> {
    try {
      return { digest: await digestNow(image, { logins, signal: io.signal }), problem: undefined };
    } catch (error) {
      if (io.signal.aborted) throw error;
      return { digest: undefined, problem: asCliError(error).message };
    }
  }

  async function work(): Promise<void> {
    for (let image = waiting.shift(); image !== undefined; image = waiting.shift()) {
      out.note(`asking for ${image} …`);
      const answer = ask(image);
      answers.set(image, answer);
      await answer;
    }
  }

  await Promise.all(Array.from({ length: atOnce }, work));
  return Promise.all(
    images.map(async (one) => ({
      ...one,
      digest: undefined,
      problem: 'not asked',
      ...(await answers.get(withoutDigest(one.image))),
    })),
  );
}
