import { LRUCache } from 'lru-cache';
import { networkOf } from '../http/network.ts';
import { RegistryError } from '../model/errors.ts';

/** How many failures at once, and how many seconds until one of them is forgotten. */
type Limit = { failures: number; forgetSeconds: number };

/** Somebody who mistypes, or a client that sends a password that was changed on five connections at once. */
const PAIR: Limit = { failures: 10, forgetSeconds: 10 };
/** One machine that tries many names, or robots; behind it may be an office. */
const ADDRESS: Limit = { failures: 30, forgetSeconds: 4 };
/**
 * Many machines that try one name. Each has one guess whatever the others did, so that they do not shut out the user, who
 * has not failed where she is.
 */
const NAME: Limit = { failures: 100, forgetSeconds: 2 };

/** The oldest go when there are more: whoever sends what, memory is bounded. */
const MAX_ENTRIES = 10_000;

/** `onlyAfter`: the limit holds whoever has failures under that key, be it long ago. */
type Counter = { key: string; limit: Limit; onlyAfter?: string };

type Entry = { failures: number; atSeconds: number };

/** Slows down whoever tries passwords. In one process: several count for themselves. */
export class LoginThrottle {
  readonly #entries = new LRUCache<string, Entry>({ max: MAX_ENTRIES });

  /**
   * To be asked before a password is looked at.
   * @param name absent for the token of a robot: such are counted by themselves
   * @param address of the client, where it is known
   * @throws RegistryError TOOMANYREQUESTS
   */
  check(name: string | undefined, address: string | undefined): void {
    const counters = countersOf(name, address).filter(
      ({ onlyAfter }) => onlyAfter === undefined || this.#entries.has(onlyAfter),
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
function countersOf(name: string | undefined, address = ''): Counter[] {
  const network = networkOf(address);
  if (name === undefined) return network === '' ? [] : [{ key: `robots ${network}`, limit: ADDRESS }];
  const known = name.slice(0, 64);
  const pair = `pair ${known} ${network}`;
  const counters: Counter[] = [
    { key: pair, limit: PAIR },
    { key: `name ${known}`, limit: NAME, ...(network !== '' && { onlyAfter: pair }) },
  ];
  return network === '' ? counters : [...counters, { key: `address ${network}`, limit: ADDRESS }];
}

function nowSeconds(): number {
  return performance.now() / 1000;
}
