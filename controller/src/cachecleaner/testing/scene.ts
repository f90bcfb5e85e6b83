// A test on a cache tree of its own, which goes when the test is over.

import { test } from 'uvu';
import { makeTree, type Tree } from './tree.ts';

export function scene(name: string, body: (tree: Tree) => unknown): void {
  test(name, async () => {
    const tree = makeTree();
    try {
      await body(tree);
    } finally {
      tree.remove();
    }
  });
}
