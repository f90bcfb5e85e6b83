// What must be undone if a later step fails, last first. One undo that fails does not keep the others from being tried.

import { messageOf } from '../domain/errors.ts';

export interface UndoStack {
  push(what: string, undo: () => Promise<unknown>): void;
  /** Undo everything; returns what could not be undone, with the reason. */
  unwind(): Promise<string[]>;
}

export function createUndoStack(): UndoStack {
  const stack: { what: string; undo: () => Promise<unknown> }[] = [];
  return {
    push: (what, undo) => {
      stack.push({ what, undo });
    },
    async unwind() {
      const left: string[] = [];
      for (let entry = stack.pop(); entry; entry = stack.pop()) {
        try {
          await entry.undo();
        } catch (error) {
          left.push(`${entry.what}: ${messageOf(error)}`);
        }
      }
      return left;
    },
  };
}
