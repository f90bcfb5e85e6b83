// Values as people read them.

export function cost(usd: number): string {
  return `$${usd.toFixed(2)}`;
}

/** Bytes as GB (base 1024), one decimal. */
export function memory(bytes: number): string {
  return `${(bytes / 1024 ** 3).toFixed(1)} GB`;
}

/** kHz as whole MHz. */
export function clockMhz(khz: number): string {
  return String(Math.floor(khz / 1000));
}

/** UTC, `YYYY-MM-DD HH:MM`; `-` for what has not happened. */
export function time(value: string | number | null | undefined): string {
  if (value === null || value === undefined) return '-';
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : date.toISOString().slice(0, 16).replace('T', ' ');
}

/** `42s`, `7m`, `3h05m`, `2d4h`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours}h${String(minutes % 60).padStart(2, '0')}m`;
  return `${Math.floor(hours / 24)}d${hours % 24}h`;
}

/** Order of names with numbers in them: gpu-2 before gpu-10. */
export function byName(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
