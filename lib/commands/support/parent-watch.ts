// Ends the server with the npm that started it. npm sends a signal to the shell that runs the script, and that shell ends without
// passing it on; the server would go on and hold its port.
import { hasPid, listProcesses, type ProcessInfo, processFromProc } from './processes.ts';

const INTERVAL_MS = 1000;

/** Limit of the search; between npm and the server there are usually one or two shells. */
const MAX_ANCESTORS = 8;

/** Command lines of package managers. npm changes its own to `npm start` where the system allows it. */
const PACKAGE_MANAGER = /(?:^|[\s/\\"])(?:npm|npx|pnpm|yarn|bun)(?:-cli)?(?:\.c?js|\.exe|\.cmd)?(?:["\s]|$)/i;

/** Calls `onEnd` once, when the parent or the package manager above it has ended. */
export async function watchParent(onEnd: () => void): Promise<void> {
  const { ppid } = process;
  let watched: ProcessInfo[] = [];
  const timer = setInterval(() => {
    if (process.ppid === ppid && watched.every(isRunning)) return;
    clearInterval(timer);
    onEnd();
  }, INTERVAL_MS);
  timer.unref();
  watched = await findAncestors(ppid).catch(() => []);
}

async function findAncestors(ppid: number): Promise<ProcessInfo[]> {
  const find = processFromProc(process.pid) ? processFromProc : finder(await listProcesses());
  return selectAncestors(ppid, find);
}

/**
 * The processes to watch: the parent and its ancestors up to the package manager; the parent alone if there is none.
 * @param ppid pid of the parent
 * @param find looks up a process by its pid
 */
export function selectAncestors(ppid: number, find: (pid: number) => ProcessInfo | undefined): ProcessInfo[] {
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
