// Passwords are compared in a thread of their own: 60 ms of one core each, in which the registry's thread serves others. Not
// for bundles, which have no second file to run; a Lambda serves nobody else meanwhile.
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

export type Comparison = { password: string; hash: string };
export type Compared = { isRight: boolean };

/** Beside this file, seen from the source and from what `tsc` makes of it. */
const PROGRAM = new URL(`./password-thread-program${extname(import.meta.url)}`, import.meta.url);

export class PasswordThread {
  #worker: Worker | undefined;

  /** One at a time: the caller waits for the answer before it asks again. @throws Error if the thread has ended */
  async compare(password: string, hash: string): Promise<boolean> {
    const worker = this.#running();
    return await new Promise((resolve, reject) => {
      const settle = (end: () => void) => {
        worker.off('message', onMessage).off('error', onError).off('exit', onExit);
        end();
      };
      const onMessage = ({ isRight }: Compared) => settle(() => resolve(isRight));
      const onError = (cause: unknown) => settle(() => reject(new Error('passwords cannot be compared', { cause })));
      const onExit = () => onError(new Error('the thread has ended'));
      worker.on('message', onMessage).on('error', onError).on('exit', onExit);
      worker.postMessage({ password, hash } satisfies Comparison);
    });
  }

  /** Started when the first password comes, and again should it end. */
  #running(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(PROGRAM);
    worker.unref(); // nobody waits for it when the process ends
    const forget = () => {
      if (this.#worker === worker) this.#worker = undefined;
    };
    worker.once('error', forget).once('exit', forget);
    this.#worker = worker;
    return worker;
  }
}
