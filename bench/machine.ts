import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { peers } from './registries.ts';

/** The machine and the versions measured with, for readers who compare. */
export function describeMachine(): string {
  const system = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
  const hardware = `${cpus().length} cores of ${cpus()[0]?.model.trim()}, ${Math.round(totalmem() / 1024 ** 3)} GiB`;
  return [
    `${hardware}; ${system}, Linux ${release()}; everything on this machine, over loopback.`,
    `Node ${process.version}, MinIO as .ci/install-tools pins it, ${versionsOfPeers()}, ` +
      `Stowage ${output('git', ['describe', '--always', '--dirty']).trim()}, ${new Date().toISOString().slice(0, 10)}.`,
  ].join('\n');
}

function versionsOfPeers(): string {
  return Object.entries(peers)
    .map(([name, { isInstalled, version }]) => (isInstalled ? `${name} ${version}` : `no ${name}`))
    .join(', ');
}

function output(command: string, args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', cwd: import.meta.dirname });
}
