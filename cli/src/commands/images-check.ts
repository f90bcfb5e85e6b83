// `images check`: whether each image is pinned, and whether its tag still stands for that digest. Exit 3 when not, 7 when a registry could
// not say.

import type { CommandModule, Context } from '../command.ts';
import { exitCodes } from '../errors.ts';
import { folderOf, imagesIn, repoOption } from '../images/file.ts';
import { type LookedUp, lookUp } from '../images/lookup.ts';
import type { Column } from '../output/output.ts';

/** A tag that has moved is news, not an attack: what runs is what is pinned. */
function stateOf({ image, pinned, digest }: LookedUp): 'same' | 'moved' | 'not pinned' | 'not known' {
  if (!pinned) return 'not pinned';
  if (digest === undefined) return 'not known';
  return image.endsWith(`@${digest}`) ? 'same' : 'moved';
}

const columns: Column<LookedUp>[] = [
  { head: 'NAME', cell: ({ name }) => name },
  { head: 'STATE', cell: stateOf },
  { head: 'IMAGE', cell: ({ image }) => image },
  { head: 'NOW', cell: ({ digest, problem }) => digest ?? problem ?? '-', wide: true },
];

async function run(context: Context): Promise<number | undefined> {
  const { out } = context;
  const found = await lookUp(await imagesIn(folderOf(context)), context);
  for (const { name, problem } of found) if (problem) out.warn(`${name}: ${problem}`);
  await out.showList(found, columns, {
    name: ({ name }) => name,
    value: found.map((one) => ({ ...one, state: stateOf(one) })),
    none: 'no images',
  });
  const states = new Set(found.map(stateOf));
  if (states.has('moved') || states.has('not pinned')) return exitCodes.different;
  return states.has('not known') ? exitCodes.unreachable : undefined;
}

export const command: CommandModule = {
  options: [repoOption],
  examples: ['images check', 'images check --repo ../cluster -o wide'],
  run,
};
