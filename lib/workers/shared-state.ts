// What the coordinator keeps for all workers: limits that hold for the server as a whole.
import { setTimeout as sleep } from 'node:timers/promises';
import { LoginThrottle } from '../auth/login-throttle.ts';
import type { ComparePassword } from '../auth/passwords/password-logins.ts';
import { createTransferLimits, type TransferLimits } from '../auth/transfer-limits.ts';
import { KeyLocks, SharedKeyLocks } from '../concurrency/key-locks.ts';
import type { Config } from '../config/config.ts';
import type { Slot } from '../limits/slot.ts';
import { RegistryError } from '../model/errors.ts';
import type { Log } from '../model/log.ts';
import type { CoordinatorAnswers, SlotName } from './answers.ts';
import type { Handlers } from './calls.ts';

/** A request that a killed worker has sent to storage may still be executed for this long, so its locks are held on. */
const LOCKS_OF_KILLED_MS = 2000;

export class SharedState {
  readonly transfers: TransferLimits;
  readonly throttle = new LoginThrottle();
  readonly locks = new SharedKeyLocks();
  readonly #comparing = new KeyLocks();
  readonly #compare: ComparePassword;

  /** @param options.comparePassword is called for one password at a time */
  constructor(config: Config, { log, comparePassword }: { log: Log; comparePassword: ComparePassword }) {
    this.transfers = createTransferLimits(config, log);
    this.#compare = comparePassword;
  }

  async comparePassword(password: string, hash: string): Promise<boolean> {
    return await this.#comparing.run('', () => this.#compare(password, hash));
  }
}

/** The calls that one worker makes of the state it shares, and what it holds of that. */
export class WorkerHoldings {
  readonly #state: SharedState;
  readonly #slots = new Map<string, Slot>();
  readonly #locks = new Map<number, () => void>();
  /** Tells the worker that a slot was taken from it. */
  readonly #onCutOff: (name: SlotName) => void;
  #hasEnded = false;

  constructor(state: SharedState, onCutOff: (name: SlotName) => void) {
    this.#state = state;
    this.#onCutOff = onCutOff;
  }

  readonly handlers: Omit<Handlers<CoordinatorAnswers>, 'operate' | 'tell'> = {
    'acquire slot': async ({ caller, ...name }, signal) => {
      const slot = await this.#state.transfers[name.limit].acquire(caller, signal);
      if (signal.aborted || this.#hasEnded) slot.release();
      else this.#hold(name, slot);
      return undefined;
    },
    'release slot': (name) => {
      this.#slots.get(textOf(name))?.release();
      this.#slots.delete(textOf(name));
      return undefined;
    },
    'report slots': (reports) => {
      for (const { movedBytes, isWaitingForClient, ...name } of reports) {
        const slot = this.#slots.get(textOf(name));
        if (!slot) continue;
        if (movedBytes > 0) slot.moved(movedBytes);
        slot.isWaitingForClient = isWaitingForClient;
      }
      return undefined;
    },
    'check login': ({ name, address }) => void this.#state.throttle.check(name, address) as undefined,
    'login failed': ({ name, address }) => void this.#state.throttle.failed(name, address) as undefined,
    'compare password': ({ password, hash }) => this.#state.comparePassword(password, hash),
    'acquire lock': async ({ id, key, isExclusive }, signal) => {
      await this.#lock(id, { key, isExclusive }, signal);
      return undefined;
    },
    'release lock': ({ id }) => {
      this.#locks.get(id)?.();
      this.#locks.delete(id);
      return undefined;
    },
  };

  #hold(name: SlotName, slot: Slot): void {
    this.#slots.set(textOf(name), slot);
    slot.signal.addEventListener('abort', () => {
      this.#slots.delete(textOf(name));
      this.#onCutOff(name);
    });
  }

  /** Waits for the lock of a key. @throws RegistryError UNAVAILABLE if the worker gives up; the lock is then free again */
  async #lock(
    id: number,
    { key, isExclusive }: { key: string; isExclusive: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const held = Promise.withResolvers<void>();
    const granted = Promise.withResolvers<void>();
    const task = async () => {
      granted.resolve();
      await held.promise;
    };
    void (isExclusive ? this.#state.locks.exclusive(key, task) : this.#state.locks.shared(key, task));
    signal.addEventListener('abort', () => {
      held.resolve();
      granted.reject(new RegistryError('UNAVAILABLE', `other requests hold ${key}, try again`));
    });
    await granted.promise;
    if (this.#hasEnded) held.resolve();
    else this.#locks.set(id, held.resolve);
  }

  /** Frees what the worker held, once it has ended, and what is granted to it later: its calls may still wait. */
  async release(): Promise<void> {
    this.#hasEnded = true;
    for (const slot of this.#slots.values()) slot.release();
    this.#slots.clear();
    const locks = [...this.#locks.values()];
    this.#locks.clear();
    if (locks.length === 0) return;
    await sleep(LOCKS_OF_KILLED_MS, undefined, { ref: false });
    for (const release of locks) release();
  }
}

function textOf({ limit, id }: SlotName): string {
  return `${limit} ${id}`;
}
