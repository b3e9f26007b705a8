import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** sysconf(_SC_CLK_TCK), which is 100 on every Linux, independent of the kernel's tick rate. */
const TICKS_PER_SECOND = 100;

/** A process and all its descendants: a server of several workers is such a tree. */
function treeOf(root: number): Stat[] {
  const stats = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : []));
  const below = (pid: number): Stat[] =>
    stats.filter(({ parent }) => parent === pid).flatMap((stat) => [stat, ...below(stat.pid)]);
  return [...stats.filter(({ pid }) => pid === root), ...below(root)];
}

/** CPU time of a process and all its descendants, including those that have ended. */
export function cpuSecondsOf(root: number): number {
  return treeOf(root).reduce((sum, { ticks }) => sum + ticks, 0) / TICKS_PER_SECOND;
}

type Stat = { pid: number; parent: number; ticks: number };

function statOf(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined; // it has just ended
  }
  // The program name, in parentheses, may contain spaces and parentheses.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent = 0] = fields;
  return { pid, parent, ticks: fields.slice(11, 15).reduce((sum, ticks) => sum + ticks, 0) };
}

/** CPU time of the whole machine, including time stolen by its host, excluding idle and I/O wait. */
function busySeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = readFileSync('/proc/stat', 'utf8')
    .slice('cpu '.length)
    .trimStart()
    .split(' ')
    .map(Number);
  return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND;
}

/** The share of the machine that other processes used during `work`: 0.5 of two cores is one core. */
export async function foreignShareDuring<T>(work: () => Promise<T>): Promise<{ result: T; foreignShare: number }> {
  const started = performance.now();
  const before = busySeconds() - cpuSecondsOf(process.pid);
  const result = await work();
  const foreign = busySeconds() - cpuSecondsOf(process.pid) - before;
  const available = ((performance.now() - started) / 1000) * availableParallelism();
  return { result, foreignShare: Math.max(0, foreign / available) };
}

const QUIET_SHARE = 0.05;

/** Waits until other processes leave the machine idle. */
export async function quiet(onWait: (foreignShare: number) => void): Promise<void> {
  for (;;) {
    const { foreignShare } = await foreignShareDuring(() => sleep(1000));
    if (foreignShare <= QUIET_SHARE) return;
    onWait(foreignShare);
  }
}

/** Resets the peak memory counters of a tree. https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
export async function resetPeakMemory(root: number): Promise<void> {
  await Promise.all(treeOf(root).map(({ pid }) => writeFile(`/proc/${pid}/clear_refs`, '5')));
}

/** The sum of the peak RSS of each process of a tree. It is at least what they held together, as pages that they share count for each. */
export async function peakMemoryMiB(root: number): Promise<number> {
  const peaks = treeOf(root).map(async ({ pid }) => {
    const status = await readFile(`/proc/${pid}/status`, 'utf8');
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024;
  });
  return (await Promise.all(peaks)).reduce((sum, peak) => sum + peak, 0);
}
