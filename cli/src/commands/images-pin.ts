// `images pin`: writes the digest behind each tag into images.yaml. Exit 7 when a registry could not say; the others are written then.

import { withoutDigest } from '@miner/controller/domain/values/images.ts';
import type { CommandModule, Context } from '../command.ts';
import { exitCodes } from '../errors.ts';
import { chosen, folderOf, imagesIn, repoOption, writeImages } from '../images/file.ts';
import { lookUp } from '../images/lookup.ts';

async function run(context: Context): Promise<number | undefined> {
  const { out, args } = context;
  const folder = folderOf(context);
  const found = await lookUp(chosen(await imagesIn(folder), args.slice(0, 1)), context);
  const pinned = found.flatMap(({ name, image, digest }) =>
    digest ? [{ name, before: image, image: `${withoutDigest(image)}@${digest}` }] : [],
  );
  if (pinned.length > 0) await writeImages(folder, new Map(pinned.map(({ name, image }) => [name, image])));
  for (const { name, problem } of found) if (problem) out.warn(`${name}: ${problem}`);
  await out.showList(
    pinned.filter(({ before, image }) => before !== image),
    [
      { head: 'NAME', cell: ({ name }) => name },
      { head: 'IMAGE', cell: ({ image }) => image },
    ],
    { name: ({ name }) => name, none: 'nothing to change' },
  );
  return pinned.length < found.length ? exitCodes.unreachable : undefined;
}

export const command: CommandModule = {
  arguments: [{ name: '[name]', description: 'only this image of images.yaml' }],
  options: [repoOption],
  examples: ['images pin', 'images pin postgres --repo ../cluster'],
  run,
};
