// `images list`: every image that the miner runs beside the chutes' own, and whether it is pinned.

import type { CommandModule, Context } from '../command.ts';
import { folderOf, imagesIn, type NamedImage, repoOption } from '../images/file.ts';
import type { Column } from '../output/output.ts';

const columns: Column<NamedImage>[] = [
  { head: 'NAME', cell: ({ name }) => name },
  { head: 'PINNED', cell: ({ pinned }) => (pinned ? 'yes' : 'no') },
  { head: 'IMAGE', cell: ({ image }) => image },
];

async function run(context: Context): Promise<undefined> {
  const images = await imagesIn(folderOf(context));
  await context.out.showList(images, columns, { name: ({ name }) => name, none: 'no images' });
}

export const command: CommandModule = {
  options: [repoOption],
  examples: ['images list', 'images list --repo ../cluster -o json'],
  run,
};
