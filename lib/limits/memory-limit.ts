// Bounds what requests hold in memory at once, and shares it among callers.

import { RegistryError } from '../model/errors.ts';
import { KiB } from '../streams/bytes.ts';
import { type Pace, Slot } from './slot.ts';

/** Less than the 60 s after which load balancers end a connection on which nothing moves. */
export const WAIT_MS = 30_000;
const MAX_WAITING = 4096;
const PACE: Pace = { minBytesPerSecond: 8 * KiB, stallMs: 15_000 };
const CHECK_MS = 1000;

export type MemoryLimitOptions = {
  maxBytes: number;
  waitMs?: number;
  /** The least pace at which a client keeps its memory while other requests wait. */
  pace?: Pace;
};

export type Holder = {
  caller: string;
  /** Whether others have shown who they are, and this one has not. */
  isUnknown: boolean;
};

/** A part of the memory, and what holds some of it, oldest first. */
type Share = { maxBytes: number; heldBytes: number; holds: Set<Hold> };

type Waiting = { hold: Hold; bytes: number; start: () => void };

/**
 * One caller holds at most half of it; those who have not logged in, where others have, a quarter together. What does not
 * fit waits. The oldest request of each share never does: it goes on, also beyond the limit, so that requests that have
 * arrived in part do not wait for one another for ever.
 */
export class MemoryLimit {
  readonly #waitMs: number;
  readonly #pace: Pace;
  readonly #all: Share;
  readonly #unknown: Share;
  readonly #callers = new Map<string, Share>();
  readonly #waiting = new Set<Waiting>();
  #checks: NodeJS.Timeout | undefined;

  constructor({ maxBytes, waitMs = WAIT_MS, pace = PACE }: MemoryLimitOptions) {
    this.#waitMs = waitMs;
    this.#pace = pace;
    this.#all = newShare(maxBytes);
    this.#unknown = newShare(maxBytes / 4);
  }

  get heldBytes(): number {
    return this.#all.heldBytes;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Holds nothing yet. */
  open({ caller, isUnknown }: Holder): Hold {
    const own = this.#callers.get(caller) ?? newShare(this.#all.maxBytes / 2);
    this.#callers.set(caller, own);
    const shares = isUnknown ? [this.#all, this.#unknown, own] : [this.#all, own];
    const slot = new Slot(caller, this.#pace, () => {
      for (const share of shares) {
        share.heldBytes -= hold.bytes;
        share.holds.delete(hold);
      }
      if (own.holds.size === 0 && this.#callers.get(caller) === own) this.#callers.delete(caller);
      this.#startWaiting();
    });
    const hold = new Hold(slot, shares, (bytes, signal) => this.#take(hold, bytes, signal));
    for (const share of shares) share.holds.add(hold);
    return hold;
  }

  #take(hold: Hold, bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    hold.slot.signal.throwIfAborted();
    if (fits(hold, bytes)) {
      add(hold, bytes);
      return undefined;
    }
    if (this.#waiting.size >= MAX_WAITING) throw this.#refusal(hold, bytes);
    return this.#wait(hold, bytes, signal);
  }

  #wait(hold: Hold, bytes: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(limit);
        signal?.removeEventListener('abort', onAbort);
        this.#waiting.delete(waiting);
        if (this.#waiting.size === 0) this.#stopChecks();
      };
      const fail = (error: Error) => {
        leave();
        reject(error);
      };
      const start = () => {
        leave();
        add(hold, bytes);
        resolve();
      };
      const waiting = { hold, bytes, start };
      const onAbort = () => fail(new Error('the client went away', { cause: signal?.reason }));
      const limit = setTimeout(() => fail(this.#refusal(hold, bytes)), this.#waitMs);
      this.#waiting.add(waiting);
      this.#checks ??= setInterval(() => this.#cutOffStalled(), Math.min(CHECK_MS, this.#pace.stallMs / 4)).unref();
      if (signal?.aborted) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  #startWaiting(): void {
    for (const { hold, bytes, start } of this.#waiting) if (fits(hold, bytes)) start();
  }

  /** Ends those that hold most, as many as requests wait, of the clients that stall and share what is waited for. */
  #cutOffStalled(): void {
    const full = new Set<Share>();
    for (const { hold, bytes } of this.#waiting) for (const share of fullShares(hold, bytes)) full.add(share);
    const stalled = [...this.#all.holds].filter(
      (hold) => hold.bytes > 0 && hold.slot.isStalled && hold.shares.some((share) => full.has(share)),
    );
    stalled.sort((a, b) => b.bytes - a.bytes);
    for (const { slot } of stalled.slice(0, this.#waiting.size)) {
      slot.cutOff(new RegistryError('UNAVAILABLE', STALLED, COME_AGAIN));
    }
  }

  #refusal(hold: Hold, bytes: number): RegistryError {
    const own = this.#callers.get(hold.slot.caller);
    return fullShares(hold, bytes).every((share) => share === own)
      ? new RegistryError('TOOMANYREQUESTS', 'this caller sends too much at once', COME_AGAIN)
      : new RegistryError('UNAVAILABLE', 'too much is sent at once, try again', COME_AGAIN);
  }

  #stopChecks(): void {
    clearInterval(this.#checks);
    this.#checks = undefined;
  }
}

/** What one request holds. */
export class Hold {
  readonly slot: Slot;
  readonly shares: readonly Share[];
  bytes = 0;
  readonly #take: (bytes: number, signal?: AbortSignal) => Promise<void> | undefined;

  constructor(
    slot: Slot,
    shares: readonly Share[],
    take: (bytes: number, signal?: AbortSignal) => Promise<void> | undefined,
  ) {
    this.slot = slot;
    this.shares = shares;
    this.#take = take;
  }

  /**
   * Adds to what is held, perhaps after waiting for it.
   * @throws RegistryError TOOMANYREQUESTS if the caller holds too much, UNAVAILABLE if all together do
   */
  take(bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    return this.#take(bytes, signal);
  }

  /** Frees all of it. */
  release(): void {
    this.slot.release();
  }
}

const COME_AGAIN = { headers: { 'Retry-After': '5' } };
const STALLED = 'the request stalled while others waited for the memory that it held';

function newShare(maxBytes: number): Share {
  return { maxBytes, heldBytes: 0, holds: new Set() };
}

function fits(hold: Pick<Hold, 'shares'>, bytes: number): boolean {
  return fullShares(hold, bytes).length === 0;
}

function fullShares(hold: Pick<Hold, 'shares'>, bytes: number): Share[] {
  return hold.shares.filter((share) => share.heldBytes + bytes > share.maxBytes && oldestOf(share) !== hold);
}

function oldestOf({ holds }: Share): Hold | undefined {
  for (const hold of holds) if (hold.bytes > 0) return hold;
  const [first] = holds;
  return first;
}

function add(hold: Hold, bytes: number): void {
  hold.bytes += bytes;
  for (const share of hold.shares) share.heldBytes += bytes;
}
