import { parentPort } from 'node:worker_threads';
import { isPassword } from './bcrypt.ts';
import type { Compared, Comparison } from './password-thread.ts';

parentPort?.on('message', async ({ password, hash }: Comparison) => {
  parentPort?.postMessage({ isRight: await isPassword(password, hash) } satisfies Compared);
});
