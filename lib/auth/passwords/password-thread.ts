// Compares passwords in a thread of its own. A comparison takes 60 ms of one core; the main thread serves other requests
// meanwhile. Not for Lambda functions, which run one request at a time and are bundled into one file.
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

export type Comparison = { password: string; hash: string };
export type Compared = { isRight: boolean };

/** Beside this file, in the source (`.ts`) and in the output of `tsc` (`.js`). */
const PROGRAM = new URL(`./password-thread-program${extname(import.meta.url)}`, import.meta.url);

export class PasswordThread {
  #worker: Worker | undefined;

  /** The caller waits for the answer before the next call. @throws Error if the thread has ended */
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

  /** Starts the thread for the first password, and again if it has ended. */
  #running(): Worker {
    if (this.#worker) return this.#worker;
    const worker = new Worker(PROGRAM);
    worker.unref(); // it does not keep the process alive
    const forget = () => {
      if (this.#worker === worker) this.#worker = undefined;
    };
    worker.once('error', forget).once('exit', forget);
    this.#worker = worker;
    return worker;
  }
}
