// What became another object between two lists of things on servers. Compares places, so that a list of which little changed is compared
// without a look at the things themselves.

interface OnServer {
  readonly server: string;
}

/** Things with the names of their servers beside them. */
export interface Listed<T> {
  things: readonly T[];
  servers: readonly string[];
}

export function listed<T extends OnServer>(things: readonly T[]): Listed<T> {
  return { things, servers: things.map(({ server }) => server) };
}

/** More news than this, and looking for the place of each takes longer than it saves. */
const mostNews = 100;

/** Whether nothing came or went: all that is new stands in the place, and on the server, of what it replaces. */
function addReplaced<T extends OnServer>(changed: Set<string>, before: Listed<T>, things: readonly T[]): boolean {
  const replaced: string[] = [];
  for (let i = 0; i < things.length; i++) {
    const thing = things[i] as T;
    if (before.things[i] === thing) continue;
    if (thing.server !== before.servers[i] || replaced.length === mostNews) return false;
    replaced.push(thing.server);
  }
  for (const name of replaced) changed.add(name);
  return true;
}

/** Adds the servers on which something came, went or changed to `changed`; returns the list as it is now. */
export function addChanges<T extends OnServer>(
  changed: Set<string>,
  before: Listed<T>,
  things: readonly T[],
): Listed<T> {
  if (things.length === before.things.length && addReplaced(changed, before, things)) {
    return { things, servers: before.servers };
  }
  const servers: string[] = [];
  let place = 0;
  let news = 0;
  for (const thing of things) {
    if (before.things[place] !== thing) {
      const found = news > mostNews ? -1 : before.things.indexOf(thing, place + 1);
      if (found < 0) {
        news++;
        servers.push(thing.server);
        changed.add(thing.server);
        continue;
      }
      for (; place < found; place++) changed.add(before.servers[place] as string);
    }
    servers.push(before.servers[place] as string);
    place++;
  }
  for (; place < before.servers.length; place++) changed.add(before.servers[place] as string);
  return { things, servers };
}

export function onServers<T>({ things, servers }: Listed<T>, names: ReadonlySet<string>): Listed<T> {
  const some: T[] = [];
  const theirs: string[] = [];
  for (let i = 0; i < servers.length; i++) {
    const name = servers[i] as string;
    if (!names.has(name)) continue;
    some.push(things[i] as T);
    theirs.push(name);
  }
  return { things: some, servers: theirs };
}
