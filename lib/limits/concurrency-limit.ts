// Bounds how many transfers (uploads, downloads) run at once in this process, and shares the slots among callers.

import { RegistryError } from '../model/errors.ts';
import { KiB } from '../streams/bytes.ts';
import { type Pace, Slot } from './slot.ts';

/** Less than the 60 s after which load balancers end a connection on which nothing moves. */
export const WAIT_MS = 30_000;

/** As many layers as Docker transfers side by side. */
export const FEW = 5;

/** A waiting connection costs some 30 KiB. */
const MAX_WAITING = 4096;
const MAX_WAITING_PER_CALLER = 1024;

/** A client that is slower loses its slot when other requests wait; so that they get it in time, after less than `WAIT_MS`. */
export const PACE: Pace = { minBytesPerSecond: 8 * KiB, stallMs: 15_000 };

const CHECK_MS = 1000;

export type ConcurrencyLimitOptions = {
  /** What is limited, for messages, in the plural: `uploads`. */
  what: string;
  /** How many run at once. Default: any number. */
  atOnce?: number;
  /** How many of them may belong to one caller. Default: any number. */
  perCaller?: number;
  /** How long a request waits for a slot. */
  waitMs?: number;
  /** How many requests of one caller, and how many in all, wait at most; further ones are refused at once. */
  maxWaitingPerCaller?: number;
  maxWaiting?: number;
  /** The least pace at which a client keeps its slot while other requests wait. */
  pace?: Pace;
  /** Told of each transfer that is ended because its client stalls. */
  onCutOff?: (slot: Slot) => void;
};

type Waiting = { order: number; start: (slot: Slot) => void };

type Caller = { name: string; running: number; waiting: Set<Waiting> };

/**
 * Requests that find no free slot wait for one. A free slot goes to the caller with the fewest of them, and among equals
 * to the request that has waited longest. A quarter of the slots is kept for callers with at most five, so that one caller
 * cannot take them all. A stalled client keeps its slot only while no other request needs it.
 */
export class ConcurrencyLimit {
  readonly #what: string;
  readonly #atOnce: number;
  readonly #shared: number;
  readonly #perCaller: number;
  readonly #waitMs: number;
  readonly #maxWaitingPerCaller: number;
  readonly #maxWaiting: number;
  readonly #pace: Pace;
  readonly #onCutOff: (slot: Slot) => void;
  readonly #slots = new Set<Slot>();
  /** Those with something running or waiting. */
  readonly #callers = new Map<string, Caller>();
  #waitingCount = 0;
  #arrivals = 0;
  #checks: NodeJS.Timeout | undefined;

  constructor({
    what,
    atOnce = Infinity,
    perCaller = Infinity,
    waitMs = WAIT_MS,
    maxWaitingPerCaller = MAX_WAITING_PER_CALLER,
    maxWaiting = MAX_WAITING,
    pace = PACE,
    onCutOff = () => undefined,
  }: ConcurrencyLimitOptions) {
    this.#what = what;
    this.#atOnce = atOnce;
    this.#shared = Math.ceil(0.75 * atOnce);
    this.#perCaller = perCaller;
    this.#waitMs = waitMs;
    this.#maxWaitingPerCaller = maxWaitingPerCaller;
    this.#maxWaiting = maxWaiting;
    this.#pace = pace;
    this.#onCutOff = onCutOff;
  }

  get running(): number {
    return this.#slots.size;
  }

  get waiting(): number {
    return this.#waitingCount;
  }

  /** As `acquire`; the slot is released when `work` has ended. */
  async run<T>(caller: string, work: (slot: Slot) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const slot = await this.acquire(caller, signal);
    try {
      return await work(slot);
    } finally {
      slot.release();
    }
  }

  /**
   * @param signal aborts when the client goes away: then it no longer waits
   * @throws RegistryError TOOMANYREQUESTS if this caller has too many under way, UNAVAILABLE if all callers together have
   */
  async acquire(name: string, signal?: AbortSignal): Promise<Slot> {
    const caller = this.#callerOf(name);
    if (this.#mayStart(caller)) return this.#start(caller);
    if (caller.waiting.size >= this.#maxWaitingPerCaller) throw this.#busy(caller);
    if (this.#waitingCount >= this.#maxWaiting) throw this.#full();
    return await this.#wait(caller, signal);
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
    const slot = new Slot(caller.name, this.#pace, () => {
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
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(limit);
        signal?.removeEventListener('abort', onAbort);
        if (!caller.waiting.delete(waiting)) return;
        this.#waitingCount--;
        if (this.#waitingCount === 0) this.#stopChecks();
      };
      const start = (slot: Slot) => {
        leave();
        resolve(slot);
      };
      const fail = (error: Error) => {
        leave();
        this.#forget(caller);
        reject(error);
      };
      const waiting = { order: this.#arrivals++, start };
      const onAbort = () => fail(new Error('the client went away', { cause: signal?.reason }));
      const limit = setTimeout(() => fail(this.#isFull() ? this.#full() : this.#busy(caller)), this.#waitMs);
      caller.waiting.add(waiting);
      this.#waitingCount++;
      this.#checks ??= setInterval(() => this.#cutOffStalled(), Math.min(CHECK_MS, this.#pace.stallMs / 4)).unref();
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #startWaiting(): void {
    for (let next = this.#next(); next; next = this.#next()) next.waiting.start(this.#start(next.caller));
  }

  /** Of the callers that may have one more slot, the one with the fewest, then the one that has waited longest. */
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
   * Ends as many stalled transfers as requests wait, those of the callers with the most slots first. While the process has
   * free slots, only the limit on a caller makes requests wait, and only that caller's own transfers are in the way.
   */
  #cutOffStalled(): void {
    const isFull = this.#isFull();
    const stalled = [...this.#slots].filter((slot) => slot.isStalled && (isFull || this.#hasWaiting(slot)));
    stalled.sort((a, b) => this.#runningOf(b) - this.#runningOf(a));
    for (const slot of stalled.slice(0, this.#waitingCount)) {
      this.#onCutOff(slot);
      slot.cutOff(new RegistryError('UNAVAILABLE', STALLED, COME_AGAIN));
    }
  }

  #runningOf({ caller }: Slot): number {
    return this.#callers.get(caller)?.running ?? 0;
  }

  #hasWaiting({ caller }: Slot): boolean {
    return (this.#callers.get(caller)?.waiting.size ?? 0) > 0;
  }

  #stopChecks(): void {
    clearInterval(this.#checks);
    this.#checks = undefined;
  }

  #forget(caller: Caller): void {
    if (caller.running === 0 && caller.waiting.size === 0) this.#callers.delete(caller.name);
  }

  #isFull(): boolean {
    return this.#slots.size >= this.#shared;
  }

  #busy({ running }: Caller): RegistryError {
    return new RegistryError('TOOMANYREQUESTS', `this caller has ${running} ${this.#what} under way`, COME_AGAIN);
  }

  #full(): RegistryError {
    const message = `${this.#slots.size} ${this.#what} are under way, try again`;
    return new RegistryError('UNAVAILABLE', message, COME_AGAIN);
  }
}

const COME_AGAIN = { headers: { 'Retry-After': '5' } };
const STALLED = 'the transfer stalled while other requests waited for its slot';
