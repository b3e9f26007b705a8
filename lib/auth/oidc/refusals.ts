// Logs why tokens of identity providers are refused. The client learns only that its login is wrong.

import { hasCode } from '../../model/has-code.ts';
import type { Log } from '../../model/log.ts';
import { LruCache } from '../../model/lru-cache.ts';

/** Any client can send made-up tokens, so their texts are cut, and there are few lines for each kind of refusal. */
const MAX_TEXT_LENGTH = 200;
const MAX_ITEMS = 10;
export const INTERVAL_MS = 60_000;
export const MAX_LINES_PER_INTERVAL = 10;
const MAX_KINDS = 1000;

/** A part of a token that did not match. `expected` is absent if no particular value was required. */
export type Mismatch = {
  part: 'token' | 'issuer' | 'keys' | 'signature' | 'algorithm' | 'audience' | 'claim';
  /** The name of the `claim`. */
  name?: string;
  expected?: unknown;
  /** The value in the token; absent if the token has none. */
  found?: unknown;
};

/** Header fields of a token whose signature is not verified yet. */
export type TokenHeader = { alg?: string; kid?: string };

export class OidcRefusals {
  readonly #log: Log;
  /** Lines of the last minute, by issuer and part of the token, so that made-up tokens do not hide those of the provider. */
  readonly #written = new LruCache<string, Set<string>>({ max: MAX_KINDS, ttlMs: INTERVAL_MS });

  constructor(log: Log) {
    this.#log = log;
  }

  /** Writes a line, unless the same was written within the last minute. @param issuer if the configuration has it */
  note(mismatches: readonly Mismatch[], issuer?: string): void {
    const fields = { ...(issuer !== undefined && { issuer }), mismatches: mismatches.slice(0, MAX_ITEMS).map(bounded) };
    const kind = JSON.stringify([issuer, mismatches[0]?.part]);
    const lines = this.#written.get(kind) ?? new Set();
    const line = JSON.stringify(fields);
    if (lines.has(line) || lines.size >= MAX_LINES_PER_INTERVAL) return;
    if (lines.size === 0) this.#written.set(kind, lines);
    lines.add(line);
    this.#log.warning('a token of an identity provider was refused', fields);
  }
}

/** Explains an error of a verification, as `jose` and `OidcIssuer` throw it. */
export function mismatchOf(
  error: unknown,
  { audiences, header }: { audiences: readonly string[]; header: TokenHeader },
): Mismatch {
  const { alg, kid } = header;
  if (hasCode(error, 'ERR_JWKS_NO_MATCHING_KEY', 'ERR_JWKS_MULTIPLE_MATCHING_KEYS')) {
    return { part: 'keys', expected: 'kid of one key that the issuer publishes', found: kid };
  }
  if (hasCode(error, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED')) {
    return { part: 'signature', expected: 'signed by the key that kid names', found: { kid, alg } };
  }
  if (hasCode(error, 'ERR_JOSE_ALG_NOT_ALLOWED', 'ERR_JOSE_NOT_SUPPORTED')) {
    return { part: 'algorithm', expected: 'an asymmetric signature, such as RS256 or ES256', found: alg };
  }
  if (error instanceof Error && 'claim' in error && 'payload' in error && typeof error.claim === 'string') {
    return claimMismatch(error.claim, error.payload as Record<string, unknown>, audiences);
  }
  if (error instanceof Error && hasCode(error, 'ERR_JWS_INVALID', 'ERR_JWT_INVALID')) {
    return { part: 'token', expected: 'a signed JWT', found: error.message };
  }
  return { part: 'keys', expected: 'keys of the issuer', found: messagesOf(error) };
}

function claimMismatch(name: string, payload: Record<string, unknown>, audiences: readonly string[]): Mismatch {
  const found = Object.hasOwn(payload, name) ? payload[name] : undefined;
  if (name === 'aud') return { part: 'audience', expected: audiences, found };
  if (name === 'exp') return { part: 'claim', name, expected: 'a time in the future', found: timeOf(found) };
  if (name === 'nbf') return { part: 'claim', name, expected: 'a time in the past', found: timeOf(found) };
  return { part: 'claim', name, found };
}

function timeOf(seconds: unknown): unknown {
  const time = new Date(Number(seconds) * 1000);
  return typeof seconds !== 'number' || Number.isNaN(time.getTime()) ? seconds : time.toISOString();
}

function messagesOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}

function bounded({ part, name, expected, found }: Mismatch): Mismatch {
  return {
    part,
    ...(name !== undefined && { name }),
    ...(expected !== undefined && { expected: shortened(expected) }),
    ...(found !== undefined && { found: shortened(found) }),
  };
}

function shortened(value: unknown): unknown {
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map((item) => textOf(item));
  return textOf(value);
}

function textOf(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > MAX_TEXT_LENGTH ? `${text.slice(0, MAX_TEXT_LENGTH)}…` : text;
}
