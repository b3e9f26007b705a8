// Information about other processes, from /proc or `ps`. Node tells only the pid of the parent.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { hasCode } from '../../model/has-code.ts';

export type ProcessInfo = {
  pid: number;
  parent: number;
  /** Command line as the system shows it; `npm start` for npm, which changes its own. */
  command: string;
  /** Start time, which tells the process from a later one with the same pid. Read from /proc only. */
  startedAt?: string;
};

/** The process with this pid; `undefined` if it has ended (a zombie has), or there is no /proc. */
export function processFromProc(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name in parentheses, which may contain parentheses and spaces.
    // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    const [state = '', parent = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, parent: Number(parent), command, startedAt: fields[17] ?? '' };
  } catch {
    return undefined;
  }
}

/**
 * When the process started, in a form that differs from that of a later process with the same pid; undefined if it has ended,
 * or the system does not tell.
 */
export async function startTimeOf(pid: number): Promise<string | undefined> {
  if (hasProc()) return processFromProc(pid)?.startedAt;
  return process.platform === 'win32' ? undefined : await startTimeFromPs(pid);
}

/** `Fri Nov 27 07:48:39 2026`, for systems without `/proc`. */
export async function startTimeFromPs(pid: number): Promise<string | undefined> {
  try {
    // Local time and language would differ from one caller to the next.
    const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };
    const { stdout } = await promisify(execFile)('ps', ['-o', 'lstart=', '-p', String(pid)], { env, timeout: 5000 });
    return stdout.trim() || undefined;
  } catch {
    return undefined;
  }
}

/** Whether the process that `startTimeOf` was asked about still runs. By its pid alone where no start time is known. */
export async function isRunning(pid: number, startedAt: string | undefined): Promise<boolean> {
  if (!hasPid(pid)) return false;
  const now = await startTimeOf(pid);
  if (now === undefined) return !hasProc(); // a zombie has no start time there
  return startedAt === undefined || now === startedAt;
}

/** Whether there is a process with this pid, zombies included. */
export function hasPid(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return hasCode(error, 'EPERM'); // it is there, and of another user
  }
}

function hasProc(): boolean {
  return processFromProc(process.pid) !== undefined;
}

/** All processes, from `ps` or PowerShell. @throws Error if that fails */
export async function listProcesses(platform = process.platform): Promise<ProcessInfo[]> {
  const run = promisify(execFile);
  const options = { maxBuffer: 16 * 1024 * 1024, timeout: 20_000, windowsHide: true };
  if (platform === 'win32') {
    const query =
      'Get-CimInstance Win32_Process | Select-Object ProcessId,ParentProcessId,CommandLine | ConvertTo-Json';
    const { stdout } = await run('powershell.exe', ['-NoProfile', '-NonInteractive', '-Command', query], options);
    return parseWindowsProcesses(stdout);
  }
  const { stdout } = await run('ps', ['-A', '-o', 'pid=,ppid=,command='], options);
  return parsePs(stdout);
}

/** Parses the output of `ps -o pid=,ppid=,command=`. */
export function parsePs(text: string): ProcessInfo[] {
  return text.split('\n').flatMap((line) => {
    const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), command: command.trim() }];
  });
}

/** Parses `Win32_Process` objects as PowerShell's `ConvertTo-Json` prints them: one object, or a list. */
export function parseWindowsProcesses(text: string): ProcessInfo[] {
  const value: unknown = JSON.parse(text);
  return [value].flat().flatMap((item) => {
    const { ProcessId: pid, ParentProcessId: parent, CommandLine: command } = item as Record<string, unknown>;
    if (typeof pid !== 'number' || typeof parent !== 'number') return [];
    return [{ pid, parent, command: typeof command === 'string' ? command : '' }];
  });
}
