// What a button of Argo CD leaves on a server's Application: the wish to lock the server or to unlock it, until the controller has written
// it to branch main.

/** Label of an Application: the server it is for. */
export const serverLabel = 'chutes-miner.io/server';
/** Label that the button sets: `lock` or `unlock`. */
export const lockLabel = 'chutes-miner.io/lock';
/** Annotation: whether the server is locked on main, `true` or `false`. */
export const lockedAnnotation = 'chutes-miner.io/locked';

export interface LockRequest {
  server: string;
  locked: boolean;
}
