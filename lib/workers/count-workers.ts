import { availableParallelism } from 'node:os';

/** More processes than this add memory, but on most machines storage is the limit by then. */
const MOST_BY_DEFAULT = 8;

/**
 * How many processes serve. `auto` is one for each CPU that this process may use, 8 at most.
 * @throws Error on Windows, where processes cannot inherit a listening socket
 */
export function countWorkers(
  wanted: number | 'auto',
  { platform = process.platform, cpus = availableParallelism() }: { platform?: NodeJS.Platform; cpus?: number } = {},
): number {
  if (platform !== 'win32') return wanted === 'auto' ? Math.min(cpus, MOST_BY_DEFAULT) : wanted;
  if (wanted === 'auto' || wanted === 1) return 1;
  throw new Error(`${wanted} workers cannot share a port on Windows: use --workers 1`);
}
