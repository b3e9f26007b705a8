import { networkOf } from '../http/network.ts';
import { RegistryError } from '../model/errors.ts';
import { LruCache } from '../model/lru-cache.ts';

/** How many failures are allowed in a burst, and how many seconds pass until one of them is forgotten. */
type Limit = { failures: number; forgetSeconds: number };

/** One user at one address: a user who mistypes, or a client that sends an old password on five connections. */
const PAIR: Limit = { failures: 10, forgetSeconds: 10 };
/** One address that tries many names, or many robots. A whole office may share it. */
export const ADDRESS: Limit = { failures: 30, forgetSeconds: 4 };
/** Many addresses that try one name. It applies to addresses that have failed before, so the user's own address is not locked out. */
export const NAME: Limit = { failures: 100, forgetSeconds: 2 };

/** Bounds memory: the counters that have not changed for longest are dropped. */
const MAX_COUNTERS = 10_000;

/** With `onlyAfter` the limit applies only if the counter of that key is still in memory, expired or not. */
type Counter = { key: string; limit: Limit; onlyAfter?: string };

/** Limits guesses at passwords and secrets. The workers of one server share one; servers count separately. */
export type Throttle = {
  /**
   * Call it before the password is compared.
   * @param name absent for the token of a robot, which has a counter of its own
   * @param address the client's, where it is known; all clients without one count as one
   * @throws RegistryError TOOMANYREQUESTS
   */
  check(name: string | undefined, address: string | undefined): Promise<void> | void;
  /** Counts a failed login. */
  failed(name: string | undefined, address: string | undefined): Promise<void> | void;
};

export class LoginThrottle implements Throttle {
  /** A counter lives until its last failure is forgotten, so the time it has left tells how many failures are left. */
  readonly #counters = new LruCache<string, true>({ max: MAX_COUNTERS });

  check(name: string | undefined, address: string | undefined): void {
    const counters = countersOf(name, address).filter(
      ({ onlyAfter }) => onlyAfter === undefined || this.#counters.holds(onlyAfter),
    );
    const waits = counters.map(({ key, limit }) => this.#waitSeconds(key, limit));
    const seconds = Math.ceil(Math.max(0, ...waits));
    if (seconds === 0) return;
    throw new RegistryError('TOOMANYREQUESTS', `too many wrong logins, try again in ${seconds} s`, {
      headers: { 'Retry-After': String(seconds) },
    });
  }

  failed(name: string | undefined, address: string | undefined): void {
    for (const { key, limit } of countersOf(name, address)) {
      // The maximum bounds how long a burst of simultaneous failures keeps later logins waiting.
      const failures = Math.min(this.#failures(key, limit) + 1, 2 * limit.failures);
      this.#counters.set(key, true, { ttlMs: failures * limit.forgetSeconds * 1000 });
    }
  }

  #waitSeconds(key: string, limit: Limit): number {
    return (this.#failures(key, limit) - limit.failures + 1) * limit.forgetSeconds;
  }

  /** How many failures are not forgotten yet; a fraction while one of them is being forgotten. */
  #failures(key: string, { forgetSeconds }: Limit): number {
    return Math.max(0, this.#counters.remainingMs(key)) / 1000 / forgetSeconds;
  }
}

/**
 * Names are cut at the length of the longest user name, so that made-up ones take no more memory. Clients without a known address
 * count as one network. It has no counter for a pair, by which any of these clients could lock a user out for all of them.
 */
function countersOf(name: string | undefined, address = ''): Counter[] {
  const network = networkOf(address);
  if (name === undefined) return [{ key: `robots ${network}`, limit: ADDRESS }];
  const known = name.slice(0, 64);
  const byName: Counter = { key: `name ${known}`, limit: NAME };
  const byAddress: Counter = { key: `address ${network}`, limit: ADDRESS };
  if (network === '') return [byName, byAddress];
  const pair = `pair ${known} ${network}`;
  return [{ key: pair, limit: PAIR }, { ...byName, onlyAfter: pair }, byAddress];
}
