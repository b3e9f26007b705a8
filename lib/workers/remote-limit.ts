// The worker's side of a limit on transfers that the coordinator counts for all workers.
import { stalledTransfer, type TransferLimit } from '../limits/concurrency-limit.ts';
import { Slot, withSlot } from '../limits/slot.ts';
import { PACE } from '../limits/waiting-requests.ts';
import type { CoordinatorAnswers, LimitName, WorkerAnswers } from './answers.ts';
import type { Calls } from './calls.ts';

/** As often as the coordinator looks for stalled transfers. */
const REPORT_MS = 1000;

type Held = { slot: Slot; reportedBytes: number; wasWaiting: boolean };

export class RemoteLimit implements TransferLimit {
  readonly #limit: LimitName;
  readonly #calls: Pick<Calls<WorkerAnswers, CoordinatorAnswers>, 'call' | 'notify'>;
  readonly #held = new Map<number, Held>();
  #lastId = 0;
  #reports: NodeJS.Timeout | undefined;

  constructor(limit: LimitName, calls: Pick<Calls<WorkerAnswers, CoordinatorAnswers>, 'call' | 'notify'>) {
    this.#limit = limit;
    this.#calls = calls;
  }

  /** As `ConcurrencyLimit.run`. */
  async run<T>(caller: string, work: (slot: Slot) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return await withSlot(this.acquire(caller, signal), work);
  }

  /** As `ConcurrencyLimit.acquire`. One call of the coordinator. */
  async acquire(caller: string, signal?: AbortSignal): Promise<Slot> {
    const id = ++this.#lastId;
    const name = { limit: this.#limit, id };
    await this.#calls.call('acquire slot', { ...name, caller }, signal);
    const slot = new Slot(caller, PACE, () => {
      this.#held.delete(id);
      if (this.#held.size === 0) this.#stopReports();
      this.#calls.notify('release slot', name);
    });
    if (signal?.aborted) {
      slot.release();
      throw new Error('the client went away', { cause: signal.reason });
    }
    this.#held.set(id, { slot, reportedBytes: 0, wasWaiting: false });
    this.#reports ??= setInterval(() => this.#report(), REPORT_MS).unref();
    return slot;
  }

  /** The coordinator has ended this transfer because its client stalls. */
  cutOff(id: number): void {
    this.#held.get(id)?.slot.cutOff(stalledTransfer());
  }

  #report(): void {
    const changed = [...this.#held].filter(
      ([, { slot, reportedBytes, wasWaiting }]) =>
        slot.bytes !== reportedBytes || slot.isWaitingForClient !== wasWaiting,
    );
    if (changed.length === 0) return;
    const reports = changed.map(([id, held]) => {
      const { bytes, isWaitingForClient } = held.slot;
      const movedBytes = bytes - held.reportedBytes;
      Object.assign(held, { reportedBytes: bytes, wasWaiting: isWaitingForClient });
      return { limit: this.#limit, id, movedBytes, isWaitingForClient };
    });
    this.#calls.notify('report slots', reports);
  }

  #stopReports(): void {
    clearInterval(this.#reports);
    this.#reports = undefined;
  }
}
