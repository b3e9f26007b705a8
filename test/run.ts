// `npm test`, and `npm test -- [OPTION]...` with further options of `node --test`, which has to have them before the pattern.
// `npm test -- --coverage` also measures coverage, and fails below the floors.
import { spawnSync } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { resolve } from 'node:path';

const COVERAGE = [
  '--experimental-test-coverage',
  '--test-coverage-include=lib/**',
  '--test-coverage-include=functions/**',
  '--test-coverage-lines=96',
  '--test-coverage-branches=94',
];

const options = [
  ...['--test', '--test-concurrency=4', '--test-reporter=./test/reporter.ts'],
  ...['--import=./test/running-test.ts', '--import=./test/no-child-coverage.ts'],
  ...process.argv.slice(2).flatMap((option) => (option === '--coverage' ? COVERAGE : option)),
];
// Each file is a process. The types of what it loads are stripped once for all of them; not where coverage is measured, which the
// cache makes less precise. https://nodejs.org/docs/latest-v24.x/api/module.html#module-compile-cache
const cache = options.includes('--experimental-test-coverage')
  ? {}
  : { NODE_COMPILE_CACHE: resolve('node_modules/.cache/node') };
// Tests sync what they store. Where there is plenty of memory for files, that takes a fifth of the time away; containers often have 64 MiB.
const MEMORY_FILES = '/dev/shm';
const directory = hasFree(MEMORY_FILES, 4 * 1024 ** 3) ? { TMPDIR: MEMORY_FILES } : {};
const env = { ...directory, ...process.env, ...cache };
const { status } = spawnSync(process.execPath, [...options, 'test/**/*.test.ts'], { stdio: 'inherit', env });
process.exitCode = status ?? 1;

function hasFree(path: string, bytes: number): boolean {
  if (!existsSync(path)) return false;
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize >= bytes;
}
