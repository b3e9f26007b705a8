import { hasCode } from '../../model/has-code.ts';

/** Keeps this process running when the reader of its output has ended: npm, the coordinator of a worker, or a terminal. Further output is lost. */
export function ignoreClosedOutput(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error) => {
      if (!hasCode(error, 'EPIPE', 'EIO')) throw error;
    });
  }
}
