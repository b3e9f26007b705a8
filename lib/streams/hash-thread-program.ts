import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { Hashed, HashStart, ToHash } from './hash-thread.ts';

parentPort?.on('message', ({ algorithm, port }: HashStart) => {
  const hash = createHash(algorithm);
  port.on('message', (message: ToHash) => {
    if (message === 'end') return port.postMessage({ hex: hash.digest('hex') } satisfies Hashed);
    hash.update(message);
    port.postMessage(message satisfies Hashed, [message.buffer as ArrayBuffer]);
  });
});
