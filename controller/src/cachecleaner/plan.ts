// Which models leave the cache: pure, from what a scan found, what is known of the chutes on this node, and the limits.
// Nothing protected is ever chosen; what was used longest ago goes first; one budget holds for all of it (kubernetes.md 6).

export interface Inode {
  bytes: number;
  /** Names that it has left on the whole file system: its bytes are free only when the last one is gone. */
  links: number;
}

export interface Partial {
  /** Below the item. */
  path: readonly string[];
  bytes: number;
}

/** What goes or stays as a whole: a Hugging Face repository, a CivitAI file, or another folder of a chute. */
export interface CacheItem {
  /** Below the root of the cache; unique. */
  path: readonly string[];
  /** Undefined in the folders beside those of the chutes, which only old versions filled. */
  chuteId: string | undefined;
  /** As people know it: `org/model`. */
  name: string;
  /** On disk; without partials and without what has several names. */
  bytes: number;
  /** How many names each inode with several of them has here. */
  shared: ReadonlyMap<Inode, number>;
  /** Downloads that were broken off. */
  partials: readonly Partial[];
  /** When something in it was last written, ms since the Unix epoch. */
  changedAt: number;
}

export interface Known {
  /** When each chute last started or was last seen on the node, ms since the Unix epoch. */
  lastUsed: ReadonlyMap<string, number>;
  /** When the pods of the node were last looked at; undefined: never. */
  seenAt: number | undefined;
  /** Ids of chutes and names of models that stay. */
  pinned: ReadonlySet<string>;
  /** What could not be removed. */
  stuck: ReadonlySet<CacheItem>;
}

export interface Limits {
  /** Of the whole cache. */
  maxBytes: number;
  /** Free on the file system. */
  minFreeBytes: number;
  maxAgeMs: number;
}

export type Protection = 'legacy' | 'pinned' | 'in use' | 'recent' | 'stuck';
export type Reason = 'age' | 'size' | 'free space';

export interface Plan {
  /** In the order to remove them. */
  removals: { item: CacheItem; reason: Reason; lastUsed: number; bytes: number }[];
  /** Broken downloads of items that stay. */
  partials: { item: CacheItem; partial: Partial }[];
  kept: Map<CacheItem, Protection>;
  /** What the removals free. */
  freedBytes: number;
  /** Whether size and free space are within the limits then. */
  met: boolean;
}

/** So long a launch token can start a chute (kubernetes.md 3.2): between its init container and its first read its image is pulled. */
export const startingMs = 2 * 3_600_000;

/**
 * What protects the chute. Each start and each look at the node notes the time for the chutes concerned before `seenAt` moves, so one that
 * is noted before `seenAt` has ended, however long ago that look was. While nobody ever looked, every chute may be running.
 */
export function isInUse(
  chuteId: string,
  { lastUsed, seenAt }: Pick<Known, 'lastUsed' | 'seenAt'>,
  now: number,
): boolean {
  if (seenAt === undefined) return true;
  return (lastUsed.get(chuteId) ?? 0) >= Math.min(seenAt, now - startingMs);
}

function protectionOf(item: CacheItem, known: Known, now: number): Protection | undefined {
  if (item.chuteId === undefined) return 'legacy';
  if (known.stuck.has(item)) return 'stuck';
  if (known.pinned.has(item.chuteId) || known.pinned.has(item.name)) return 'pinned';
  if (isInUse(item.chuteId, known, now)) return 'in use';
  return item.changedAt >= now - startingMs ? 'recent' : undefined;
}

export function totalBytes(items: readonly CacheItem[]): number {
  const inodes = new Set(items.flatMap((item) => [...item.shared.keys()]));
  return [...inodes, ...items, ...items.flatMap((item) => item.partials)].reduce((sum, { bytes }) => sum + bytes, 0);
}

export function partialBytes({ partials }: CacheItem): number {
  return partials.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Takes items away one by one and knows what that frees, apart from their partials. */
export function createTally() {
  const taken = new Map<Inode, number>();
  return function take({ bytes, shared }: CacheItem): number {
    let freed = bytes;
    for (const [inode, names] of shared) {
      const sofar = (taken.get(inode) ?? 0) + names;
      taken.set(inode, sofar);
      if (sofar >= inode.links) freed += inode.bytes;
    }
    return freed;
  };
}

/** Items whose removal frees something: of a file with several names, all of them must be in items that may go. */
function usefulOf(items: readonly CacheItem[]): Set<CacheItem> {
  const names = new Map<Inode, number>();
  for (const { shared } of items) for (const [inode, n] of shared) names.set(inode, (names.get(inode) ?? 0) + n);
  const frees = (inode: Inode) => inode.bytes > 0 && (names.get(inode) ?? 0) >= inode.links;
  return new Set(items.filter((item) => item.bytes > 0 || [...item.shared.keys()].some(frees)));
}

/** `freeBytes`: of the file system, now. */
export function planRemovals(
  items: readonly CacheItem[],
  freeBytes: number,
  known: Known,
  limits: Limits,
  now: number,
): Plan {
  const kept: Plan['kept'] = new Map();
  const deletable: CacheItem[] = [];
  for (const item of items) {
    const protection = protectionOf(item, known, now);
    if (protection === undefined) deletable.push(item);
    else kept.set(item, protection);
  }
  const lastUsed = (item: CacheItem) => Math.max(known.lastUsed.get(item.chuteId ?? '') ?? 0, item.changedAt);
  deletable.sort(
    (a, b) => lastUsed(a) - lastUsed(b) || a.changedAt - b.changedAt || (a.path.join('/') < b.path.join('/') ? -1 : 1),
  );

  const useful = usefulOf(deletable);
  const take = createTally();
  const total = totalBytes(items);
  let freedBytes = deletable.reduce((sum, item) => sum + partialBytes(item), 0);
  const broken = (): Reason | undefined => {
    if (total - freedBytes > limits.maxBytes) return 'size';
    return freeBytes + freedBytes < limits.minFreeBytes ? 'free space' : undefined;
  };
  const removals: Plan['removals'] = [];
  for (const item of deletable) {
    const old = now - lastUsed(item) > limits.maxAgeMs;
    const reason = old ? 'age' : useful.has(item) ? broken() : undefined;
    if (reason === undefined) continue;
    const bytes = take(item);
    freedBytes += bytes;
    removals.push({ item, reason, lastUsed: lastUsed(item), bytes: bytes + partialBytes(item) });
  }
  const going = new Set(removals.map(({ item }) => item));
  const staying = deletable.filter((item) => !going.has(item));
  const partials = staying.flatMap((item) => item.partials.map((partial) => ({ item, partial })));
  return { removals, partials, kept, freedBytes, met: broken() === undefined };
}
