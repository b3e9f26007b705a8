// A coordinator of two workers that looks whether they answer at each message of its parent. It sends the origin that it serves.
import { load } from '../../lib/commands/support/run.ts';
import { createLog } from '../../lib/model/log.ts';
import { serveByWorkers } from '../../lib/workers/coordinator.ts';
import { CLI, CONFIG } from '../e2e/stowage.ts';

if (process.argv[2] === 'worker') {
  await import(CLI);
} else {
  const { config } = load({ config: CONFIG });
  const { url } = await serveByWorkers(
    { ...config, host: '127.0.0.1', port: 0 },
    {
      ...{ workers: 2, log: createLog('info'), version: 'of the test' },
      comparePassword: async () => false,
      onFailure(error) {
        throw error;
      },
      schedule: (check) => void process.on('message', check),
    },
  );
  process.send?.(url.origin);
}
