// Bounds what requests hold in memory at once, and shares it among callers.

import { RegistryError } from '../model/errors.ts';
import { Slot } from './slot.ts';
import { MAX_WAITING, RETRY, WaitingRequests, type WaitOptions } from './waiting-requests.ts';

export type Holder = {
  caller: string;
  /** The caller has not logged in, on a registry that has logins. */
  isUnknown: boolean;
};

/** A part of the memory, and the requests that hold some of it, oldest first. */
type Share = { maxBytes: number; heldBytes: number; holds: Set<Hold> };

type Waiting = { hold: Hold; bytes: number; start: () => void };

/**
 * One caller holds at most half of the memory; all callers that have not logged in, where there are logins, hold a quarter.
 * A request that does not fit waits. The oldest request of each share never waits: it may exceed the limit, so that requests
 * that have arrived in part do not wait for each other for ever.
 */
export class MemoryLimit {
  readonly #all: Share;
  readonly #unknown: Share;
  readonly #callers = new Map<string, Share>();
  /** In the order in which they came. */
  readonly #queue = new Set<Waiting>();
  readonly #waiting: WaitingRequests;

  constructor({ maxBytes, ...waitOptions }: WaitOptions & { maxBytes: number }) {
    this.#waiting = new WaitingRequests(waitOptions, () => this.#cutOffStalled());
    this.#all = newShare(maxBytes);
    this.#unknown = newShare(maxBytes / 4);
  }

  get heldBytes(): number {
    return this.#all.heldBytes;
  }

  get waiting(): number {
    return this.#waiting.count;
  }

  /** A hold for one request, of 0 bytes at first. */
  open({ caller, isUnknown }: Holder): Hold {
    const own = this.#callers.get(caller) ?? newShare(this.#all.maxBytes / 2);
    this.#callers.set(caller, own);
    const shares = isUnknown ? [this.#all, this.#unknown, own] : [this.#all, own];
    const slot = new Slot(caller, this.#waiting.pace, () => {
      for (const share of shares) {
        share.heldBytes -= hold.bytes;
        share.holds.delete(hold);
      }
      if (own.holds.size === 0 && this.#callers.get(caller) === own) this.#callers.delete(caller);
      this.#startWaiting();
    });
    const hold: Hold = new Hold(slot, shares, (bytes, signal) => this.#take(hold, bytes, signal));
    for (const share of shares) share.holds.add(hold);
    return hold;
  }

  #take(hold: Hold, bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    hold.slot.signal.throwIfAborted();
    if (fits(hold, bytes)) {
      add(hold, bytes);
      return undefined;
    }
    if (this.#waiting.count >= MAX_WAITING) throw this.#refusal(hold, bytes);
    return this.#wait(hold, bytes, signal);
  }

  #wait(hold: Hold, bytes: number, signal?: AbortSignal): Promise<void> {
    return this.#waiting.wait<void>({
      enter: (start) => {
        const waiting = { hold, bytes, start };
        this.#queue.add(waiting);
        return () => this.#queue.delete(waiting);
      },
      refusal: () => this.#refusal(hold, bytes),
      signal,
    });
  }

  #startWaiting(): void {
    for (const { hold, bytes, start } of this.#queue) {
      if (!fits(hold, bytes)) continue;
      add(hold, bytes);
      start();
    }
  }

  /** Ends the stalled requests that hold the most of what others wait for, at most one for each request that waits. */
  #cutOffStalled(): void {
    const full = new Set<Share>();
    for (const { hold, bytes } of this.#queue) for (const share of fullShares(hold, bytes)) full.add(share);
    const stalled = [...this.#all.holds].filter(
      (hold) => hold.bytes > 0 && hold.slot.isStalled && hold.shares.some((share) => full.has(share)),
    );
    stalled.sort((a, b) => b.bytes - a.bytes);
    for (const { slot } of stalled.slice(0, this.#waiting.count)) {
      slot.cutOff(new RegistryError('UNAVAILABLE', STALLED, RETRY));
    }
  }

  #refusal(hold: Hold, bytes: number): RegistryError {
    const own = this.#callers.get(hold.slot.caller);
    return fullShares(hold, bytes).every((share) => share === own)
      ? new RegistryError('TOOMANYREQUESTS', 'this caller sends too much at once', RETRY)
      : new RegistryError('UNAVAILABLE', 'too much is sent at once, try again', RETRY);
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
   * Holds `bytes` more. Waits while they do not fit; `undefined` if they fit at once.
   * @throws RegistryError TOOMANYREQUESTS if the caller holds too much, UNAVAILABLE if all callers together do
   */
  take(bytes: number, signal?: AbortSignal): Promise<void> | undefined {
    return this.#take(bytes, signal);
  }

  /** Frees all of it. */
  release(): void {
    this.slot.release();
  }
}

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
