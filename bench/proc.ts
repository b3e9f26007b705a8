import { readdirSync, readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** sysconf(_SC_CLK_TCK), which is 100 on every Linux, independent of the kernel's tick rate. */
const TICKS_PER_SECOND = 100;

/** CPU time of a process, including its ended children. */
export function cpuSecondsOf(pid: number): number {
  return (statOf(pid)?.ticks ?? 0) / TICKS_PER_SECOND;
}

/** The ids of this process and all its descendants. */
function ownCpuSeconds(): number {
  const stats = readdirSync('/proc').flatMap((name) => (/^\d+$/.test(name) ? (statOf(Number(name)) ?? []) : []));
  const ticksBelow = (pid: number): number =>
    stats.filter((stat) => stat.parent === pid).reduce((sum, stat) => sum + stat.ticks + ticksBelow(stat.pid), 0);
  return (ticksBelow(process.pid) + (statOf(process.pid)?.ticks ?? 0)) / TICKS_PER_SECOND;
}

function statOf(pid: number): { pid: number; parent: number; ticks: number } | undefined {
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
  const before = busySeconds() - ownCpuSeconds();
  const result = await work();
  const foreign = busySeconds() - ownCpuSeconds() - before;
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

/** Resets the peak memory counter. https://man7.org/linux/man-pages/man5/proc_pid_clear_refs.5.html */
export async function resetPeakMemory(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
}

export async function peakMemoryMiB(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
