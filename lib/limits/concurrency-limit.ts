// Bounds how many transfers (uploads, downloads) run at once in this process, and shares the slots among callers.

import { RegistryError } from '../model/errors.ts';
import { Slot, withSlot } from './slot.ts';
import { MAX_WAITING, RETRY, WaitingRequests, type WaitOptions } from './waiting-requests.ts';

/** As many layers as Docker transfers side by side. */
export const FEW = 5;

const MAX_WAITING_PER_CALLER = 1024;

export type ConcurrencyLimitOptions = WaitOptions & {
  /** What is limited, for messages, in the plural: `uploads`. */
  what: string;
  /** How many run at once. Default: any number. */
  atOnce?: number;
  /** How many of them may belong to one caller. Default: any number. */
  perCaller?: number;
  /** How many requests of one caller wait at most; further ones are refused at once. Default: 1,024. */
  maxWaitingPerCaller?: number;
  /** How many requests of all callers wait at most. Default: 4,096. */
  maxWaiting?: number;
  /** Is called with the slot of each transfer that is ended because its client stalls. */
  onCutOff?: (slot: Slot) => void;
};

/** What runs transfers: a limit of this process, or one that several workers share. */
export type TransferLimit = Pick<ConcurrencyLimit, 'acquire' | 'run'>;

type Waiting = { order: number; start: (slot: Slot) => void };

type Caller = { name: string; running: number; waiting: Set<Waiting> };

/**
 * Requests that find no free slot wait for one. A free slot goes to the caller with the fewest slots, and among equals to the
 * request that has waited longest. A quarter of the slots is kept for callers with fewer than five, so that one caller cannot
 * take them all. A stalled client keeps its slot only while no other request needs it.
 */
export class ConcurrencyLimit {
  readonly #what: string;
  readonly #atOnce: number;
  readonly #shared: number;
  readonly #perCaller: number;
  readonly #maxWaitingPerCaller: number;
  readonly #maxWaiting: number;
  readonly #onCutOff: (slot: Slot) => void;
  readonly #slots = new Set<Slot>();
  /** The callers that have a slot or wait for one. */
  readonly #callers = new Map<string, Caller>();
  readonly #waiting: WaitingRequests;
  #arrivals = 0;

  constructor({
    what,
    atOnce = Infinity,
    perCaller = Infinity,
    maxWaitingPerCaller = MAX_WAITING_PER_CALLER,
    maxWaiting = MAX_WAITING,
    onCutOff = () => undefined,
    ...waitOptions
  }: ConcurrencyLimitOptions) {
    this.#what = what;
    this.#atOnce = atOnce;
    this.#shared = Math.ceil(0.75 * atOnce);
    this.#perCaller = perCaller;
    this.#maxWaitingPerCaller = maxWaitingPerCaller;
    this.#maxWaiting = maxWaiting;
    this.#onCutOff = onCutOff;
    this.#waiting = new WaitingRequests(waitOptions, () => this.#cutOffStalled());
  }

  get running(): number {
    return this.#slots.size;
  }

  get waiting(): number {
    return this.#waiting.count;
  }

  /** How many callers have a slot or wait for one. */
  get callers(): number {
    return this.#callers.size;
  }

  /** Runs `work` with a slot, which is released when `work` has ended. @throws as `acquire` */
  async run<T>(caller: string, work: (slot: Slot) => Promise<T>, signal?: AbortSignal): Promise<T> {
    return await withSlot(this.acquire(caller, signal), work);
  }

  /**
   * Waits for a slot. The caller of this function releases it.
   * @param signal aborts when the client goes away, which ends the wait
   * @throws RegistryError TOOMANYREQUESTS if this caller has too many slots, UNAVAILABLE if all callers together have
   */
  async acquire(name: string, signal?: AbortSignal): Promise<Slot> {
    const caller = this.#callerOf(name);
    if (this.#mayStart(caller)) return this.#start(caller);
    const refusal = this.#refusalAtOnce(caller);
    if (!refusal) return await this.#wait(caller, signal);
    this.#forget(caller);
    throw refusal;
  }

  #refusalAtOnce(caller: Caller): RegistryError | undefined {
    if (caller.waiting.size >= this.#maxWaitingPerCaller) return this.#busy(caller);
    return this.#waiting.count >= this.#maxWaiting ? this.#full() : undefined;
  }

  #callerOf(name: string): Caller {
    const known = this.#callers.get(name);
    if (known) return known;
    const caller = { name, running: 0, waiting: new Set<Waiting>() };
    this.#callers.set(name, caller);
    return caller;
  }

  #mayStart({ running }: Caller): boolean {
    if (running >= this.#perCaller) return false;
    return this.#slots.size < (running < FEW ? this.#atOnce : this.#shared);
  }

  #start(caller: Caller): Slot {
    const slot = new Slot(caller.name, this.#waiting.pace, () => {
      this.#slots.delete(slot);
      caller.running--;
      this.#startWaiting();
      this.#forget(caller);
    });
    this.#slots.add(slot);
    caller.running++;
    return slot;
  }

  #wait(caller: Caller, signal?: AbortSignal): Promise<Slot> {
    return this.#waiting.wait<Slot>({
      enter: (start) => {
        const waiting = { order: this.#arrivals++, start };
        caller.waiting.add(waiting);
        return () => {
          caller.waiting.delete(waiting);
          this.#forget(caller);
        };
      },
      refusal: () => (this.#isFull() ? this.#full() : this.#busy(caller)),
      signal,
    });
  }

  #startWaiting(): void {
    for (let next = this.#next(); next; next = this.#next()) next.waiting.start(this.#start(next.caller));
  }

  /** Among the callers that may have one more slot: the one with the fewest, then the one that has waited longest. */
  #next(): { caller: Caller; waiting: Waiting } | undefined {
    let next: { caller: Caller; waiting: Waiting } | undefined;
    for (const caller of this.#callers.values()) {
      const [waiting] = caller.waiting;
      if (!waiting || !this.#mayStart(caller)) continue;
      const difference = next ? caller.running - next.caller.running : -1;
      if (!next || difference < 0 || (difference === 0 && waiting.order < next.waiting.order))
        next = { caller, waiting };
    }
    return next;
  }

  /**
   * Ends stalled transfers, at most one for each request that waits, beginning with the callers that have the most slots. While
   * the process has free slots, a request waits for its own caller's transfers only.
   */
  #cutOffStalled(): void {
    const isFull = this.#isFull();
    const stalled = [...this.#slots].filter((slot) => slot.isStalled && (isFull || this.#hasWaiting(slot)));
    stalled.sort((a, b) => this.#runningOf(b) - this.#runningOf(a));
    for (const slot of stalled.slice(0, this.#waiting.count)) {
      this.#onCutOff(slot);
      slot.cutOff(stalledTransfer());
    }
  }

  #runningOf({ caller }: Slot): number {
    return this.#callers.get(caller)?.running ?? 0;
  }

  #hasWaiting({ caller }: Slot): boolean {
    return (this.#callers.get(caller)?.waiting.size ?? 0) > 0;
  }

  #forget(caller: Caller): void {
    if (caller.running === 0 && caller.waiting.size === 0) this.#callers.delete(caller.name);
  }

  #isFull(): boolean {
    return this.#slots.size >= this.#shared;
  }

  #busy({ running }: Caller): RegistryError {
    return new RegistryError('TOOMANYREQUESTS', `this caller has ${running} ${this.#what} under way`, RETRY);
  }

  #full(): RegistryError {
    const message = `${this.#slots.size} ${this.#what} are under way, try again`;
    return new RegistryError('UNAVAILABLE', message, RETRY);
  }
}

/** For the client of a transfer that was cut off. */
export function stalledTransfer(): RegistryError {
  return new RegistryError('UNAVAILABLE', 'the transfer stalled while other requests waited for its slot', RETRY);
}
