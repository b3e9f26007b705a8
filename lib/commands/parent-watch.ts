// A server that npm has started ends with npm. npm hands a signal to the shell that it runs scripts in, and such a shell ends
// without handing it on; a server that is left behind holds its port until it is found.
import { hasPid, listProcesses, type ProcessInfo, processFromProc } from './processes.ts';

const INTERVAL_MS = 1000;

/** npm itself is seldom further up. */
const MAX_ANCESTORS = 8;

/** `npm start`, as npm calls itself where the system lets it, or the way that it was started. */
const PACKAGE_MANAGER = /(?:^|[\s/\\"])(?:npm|npx|pnpm|yarn|bun)(?:-cli)?(?:\.c?js|\.exe|\.cmd)?(?:["\s]|$)/i;

/** Calls back once, after the parent has ended, or the package manager that has started it. */
export async function watchParent(onEnd: () => void): Promise<void> {
  const { ppid } = process;
  let watched: ProcessInfo[] = [];
  const timer = setInterval(() => {
    if (process.ppid === ppid && watched.every(isRunning)) return;
    clearInterval(timer);
    onEnd();
  }, INTERVAL_MS);
  timer.unref();
  watched = await startersOf(ppid).catch(() => []);
}

/** The parent and those above it, up to the package manager; the parent alone where there is none. */
async function startersOf(ppid: number): Promise<ProcessInfo[]> {
  const find = processFromProc(process.pid) ? processFromProc : finder(await listProcesses());
  return startersAmong(ppid, find);
}

export function startersAmong(ppid: number, find: (pid: number) => ProcessInfo | undefined): ProcessInfo[] {
  const ancestors: ProcessInfo[] = [];
  for (let pid = ppid; ancestors.length < MAX_ANCESTORS; ) {
    const ancestor = find(pid);
    if (!ancestor || ancestors.some((known) => known.pid === pid)) break;
    ancestors.push(ancestor);
    if (PACKAGE_MANAGER.test(ancestor.command)) return ancestors;
    pid = ancestor.parent;
  }
  return ancestors.slice(0, 1);
}

function finder(processes: readonly ProcessInfo[]): (pid: number) => ProcessInfo | undefined {
  const byPid = new Map(processes.map((info) => [info.pid, info]));
  return (pid) => byPid.get(pid);
}

function isRunning({ pid, startedAt }: ProcessInfo): boolean {
  if (startedAt !== undefined) return processFromProc(pid)?.startedAt === startedAt;
  return hasPid(pid);
}
