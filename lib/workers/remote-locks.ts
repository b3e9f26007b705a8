import type { ReadWriteLocks } from '../concurrency/key-locks.ts';
import { WAIT_MS } from '../limits/waiting-requests.ts';
import type { CoordinatorAnswers, WorkerAnswers } from './answers.ts';
import type { Calls } from './calls.ts';

/**
 * The worker's side of locks that the coordinator keeps for all workers. Two messages for each lock; UNAVAILABLE if it is not free
 * within 30 s.
 */
export class RemoteLocks implements ReadWriteLocks {
  readonly #calls: Pick<Calls<WorkerAnswers, CoordinatorAnswers>, 'call' | 'notify'>;
  #lastId = 0;

  constructor(calls: Pick<Calls<WorkerAnswers, CoordinatorAnswers>, 'call' | 'notify'>) {
    this.#calls = calls;
  }

  async shared<T>(key: string, task: () => Promise<T>): Promise<T> {
    return await this.#run({ key, isExclusive: false }, task);
  }

  async exclusive<T>(key: string, task: () => Promise<T>): Promise<T> {
    return await this.#run({ key, isExclusive: true }, task);
  }

  async #run<T>(lock: { key: string; isExclusive: boolean }, task: () => Promise<T>): Promise<T> {
    const id = ++this.#lastId;
    await this.#calls.call('acquire lock', { ...lock, id }, AbortSignal.timeout(WAIT_MS));
    try {
      return await task();
    } finally {
      this.#calls.notify('release lock', { id });
    }
  }
}
