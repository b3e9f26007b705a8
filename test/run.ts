// `npm test`, and `npm test -- [OPTION]...` with further options of `node --test`, which has to have them before the pattern.
import { spawnSync } from 'node:child_process';

const options = [
  ...['--test', '--test-concurrency=3', '--test-reporter=./test/reporter.ts', '--import=./test/no-child-coverage.ts'],
  ...process.argv.slice(2),
];
const { status } = spawnSync(process.execPath, [...options, 'test/**/*.test.ts'], { stdio: 'inherit' });
process.exitCode = status ?? 1;
