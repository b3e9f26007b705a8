// `npm test`, and `npm test -- [OPTION]...` with further options of `node --test`, which has to have them before the pattern.
// `npm test -- --coverage` also measures coverage, and fails below the floors.
import { spawnSync } from 'node:child_process';

const COVERAGE = [
  '--experimental-test-coverage',
  '--test-coverage-include=lib/**',
  '--test-coverage-include=functions/**',
  '--test-coverage-lines=96',
  '--test-coverage-branches=94',
];

const options = [
  ...['--test', '--test-concurrency=3', '--test-reporter=./test/reporter.ts', '--import=./test/no-child-coverage.ts'],
  ...process.argv.slice(2).flatMap((option) => (option === '--coverage' ? COVERAGE : option)),
];
const { status } = spawnSync(process.execPath, [...options, 'test/**/*.test.ts'], { stdio: 'inherit' });
process.exitCode = status ?? 1;
