import { LRUCache } from 'lru-cache';
import { RegistryError } from '../errors.ts';

/** How many failures at once, and how many seconds until one of them is forgotten. */
type Limit = { failures: number; forgetSeconds: number };

/** Somebody who mistypes, or a client that sends a password that was changed on five connections at once. */
const PAIR: Limit = { failures: 10, forgetSeconds: 10 };
/** One machine that tries many names; behind it may be an office. */
const ADDRESS: Limit = { failures: 30, forgetSeconds: 4 };
/** Many machines that try one name. Whoever has logged in lately is not asked again, so this does not shut them out. */
const NAME: Limit = { failures: 100, forgetSeconds: 2 };

/** The oldest go when there are more: whoever sends what, memory is bounded. */
const MAX_ENTRIES = 10_000;

type Entry = { failures: number; atSeconds: number };

/** Slows down whoever tries passwords. In one process: several count for themselves. */
export class LoginThrottle {
  readonly #entries = new LRUCache<string, Entry>({ max: MAX_ENTRIES });

  /**
   * To be asked before a password is looked at.
   * @param name absent where there is none to be guessed at, but a token
   * @param address of the client, where it is known
   * @throws RegistryError TOOMANYREQUESTS
   */
  check(name: string | undefined, address: string | undefined): void {
    const waits = limitsOf(name, address).map(([key, limit]) => this.#waitSeconds(key, limit));
    const seconds = Math.ceil(Math.max(0, ...waits));
    if (seconds === 0) return;
    throw new RegistryError('TOOMANYREQUESTS', `too many wrong logins, try again in ${seconds} s`, {
      headers: { 'Retry-After': String(seconds) },
    });
  }

  failed(name: string | undefined, address: string | undefined): void {
    for (const [key, limit] of limitsOf(name, address)) {
      // Those that came at once are not held against anybody for long.
      const failures = Math.min(this.#failures(key, limit) + 1, 2 * limit.failures);
      this.#entries.set(key, { failures, atSeconds: nowSeconds() });
    }
  }

  #waitSeconds(key: string, limit: Limit): number {
    return (this.#failures(key, limit) - limit.failures + 1) * limit.forgetSeconds;
  }

  /** What is left of the failures, as they are forgotten one by one. */
  #failures(key: string, { forgetSeconds }: Limit): number {
    const entry = this.#entries.get(key);
    return entry ? Math.max(0, entry.failures - (nowSeconds() - entry.atSeconds) / forgetSeconds) : 0;
  }
}

/** Names are cut: those of users are shorter, and an attacker's need not be kept. */
function limitsOf(name: string | undefined, address = ''): [string, Limit][] {
  const limits: [string, Limit][] = [];
  if (address !== '') limits.push([`address ${address}`, ADDRESS]);
  if (name === undefined) return limits;
  const known = name.slice(0, 64);
  return [...limits, [`pair ${known} ${address}`, PAIR], [`name ${known}`, NAME]];
}

function nowSeconds(): number {
  return performance.now() / 1000;
}
