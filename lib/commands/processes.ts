// Which processes have started this one. Node knows the parent alone, and forgets it when it ends on Windows.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';

export type ProcessInfo = {
  pid: number;
  parent: number;
  /** As the system shows it: npm calls itself `npm start` there. */
  command: string;
  /** Differs from that of a later process with the same pid; where the system tells it in no time. */
  startedAt?: string;
};

/** The process, unless it has ended; a zombie has. `undefined` too where only `listProcesses` can tell. */
export function processFromProc(pid: number): ProcessInfo | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is a name in parentheses, which may hold any of both. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html
    const [state = '', parent = '', ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === 'Z' || state === 'X') return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return { pid, parent: Number(parent), command, startedAt: fields[17] ?? '' };
  } catch {
    return undefined;
  }
}

/** All processes, where there is no `/proc`. @throws Error */
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

/** What `ps -o pid=,ppid=,command=` prints. */
export function parsePs(text: string): ProcessInfo[] {
  return text.split('\n').flatMap((line) => {
    const [, pid, parent, command = ''] = /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line) ?? [];
    return pid === undefined ? [] : [{ pid: Number(pid), parent: Number(parent), command: command.trim() }];
  });
}

/** What PowerShell's `ConvertTo-Json` makes of `Win32_Process`. */
export function parseWindowsProcesses(text: string): ProcessInfo[] {
  const value: unknown = JSON.parse(text);
  return [value].flat().flatMap((item) => {
    const { ProcessId: pid, ParentProcessId: parent, CommandLine: command } = item as Record<string, unknown>;
    if (typeof pid !== 'number' || typeof parent !== 'number') return [];
    return [{ pid, parent, command: typeof command === 'string' ? command : '' }];
  });
}
