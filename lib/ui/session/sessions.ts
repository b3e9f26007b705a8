// Sessions of browsers. A session is a signed cookie and nothing else: any process can read it, and nothing is stored.
import { randomBytes } from 'node:crypto';
import type { Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import type { TokenHolder } from '../../auth/tokens/v1-tokens.ts';
import type { JsonObject } from '../../model/json.ts';
import { SignedTokens, type SigningKeys } from '../../model/signed-token.ts';

/** `holder` is absent in the session of a browser that has not logged in; such a session only ties forms to the browser. */
export type Session = { id: string; holder?: TokenHolder };

export const LIFETIME_SECONDS = 12 * 60 * 60;

/** How long the page after a form shows its outcome. */
const OUTCOME_SECONDS = 15 * 60;

/** Makes tokens differ: what the size of a compressed page tells of one is worth nothing for the next. */
const NONCE_BYTES = 12;

const SESSION = 'ui session';

export class Sessions {
  readonly #tokens: SignedTokens;
  readonly #forms: SignedTokens;

  constructor(keys: SigningKeys) {
    this.#tokens = new SignedTokens(keys, 'browser session');
    this.#forms = new SignedTokens(keys, 'form of a page');
  }

  /** The session of the request's cookie; a new one, not yet sent, if there is none or it is not valid. */
  of(c: Context, nowMs = Date.now()): Session {
    const known = c.get(SESSION) as Session | undefined;
    if (known) return known;
    const text = getCookie(c, cookieOf(c).name);
    const claims = text === undefined ? undefined : this.#tokens.verify(text, nowMs);
    const session = (claims as Session | undefined) ?? newSession();
    c.set(SESSION, session);
    if (claims) c.set(SENT, session);
    return session;
  }

  /**
   * Begins a session with a new id, so that a cookie from before the login is worth nothing after it.
   * @param holder of the login; absent for a logout
   */
  begin(c: Context, holder?: TokenHolder, nowMs = Date.now()): void {
    const session = newSession(holder);
    c.set(SESSION, session);
    this.#send(c, session, nowMs);
  }

  /** A token for a form of this session's pages, another one for each form. Sends the session's cookie if the browser does not have it yet. */
  formToken(c: Context, nowMs = Date.now()): string {
    const session = this.of(c, nowMs);
    if (c.get(SENT) !== session) this.#send(c, session, nowMs);
    return this.#forms.sign({ nonce: randomBytes(NONCE_BYTES).toString('base64url') }, expiry(nowMs), [session.id]);
  }

  /** Whether the token belongs to a form of this session. */
  isFormToken(c: Context, token: string, nowMs = Date.now()): boolean {
    return this.#forms.verify(token, nowMs, [this.of(c, nowMs).id]) !== undefined;
  }

  /** Puts the outcome of a form into the URL of the page that follows: no other session can show or use it. */
  seal(c: Context, outcome: object, nowMs = Date.now()): string {
    return this.#forms.sign(outcome, Math.floor(nowMs / 1000) + OUTCOME_SECONDS, [this.of(c, nowMs).id, 'outcome']);
  }

  /** The inverse; `undefined` for any other text. */
  unseal(c: Context, text: string, nowMs = Date.now()): JsonObject | undefined {
    return this.#forms.verify(text, nowMs, [this.of(c, nowMs).id, 'outcome']);
  }

  #send(c: Context, session: Session, nowMs: number): void {
    const { name, isSecure } = cookieOf(c);
    setCookie(c, name, this.#tokens.sign(session, expiry(nowMs)), {
      httpOnly: true,
      secure: isSecure,
      sameSite: 'Lax',
      path: '/',
      maxAge: LIFETIME_SECONDS,
    });
    c.set(SENT, session);
  }
}

const SENT = 'ui session sent';

function newSession(holder?: TokenHolder): Session {
  return { id: randomBytes(16).toString('base64url'), ...(holder && { holder }) };
}

function expiry(nowMs: number): number {
  return Math.floor(nowMs / 1000) + LIFETIME_SECONDS;
}

/**
 * The cookie's name. `__Host-` keeps other hosts and plain HTTP from setting it. Cookies of plain HTTP are shared by all ports of
 * a host, so there the name has the port.
 * @see https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes
 */
function cookieOf(c: Context): { name: string; isSecure: boolean } {
  const url = new URL(pageOrigin(c));
  const isSecure = url.protocol === 'https:';
  return { name: isSecure ? '__Host-stowage' : `stowage-${url.port || '80'}`, isSecure };
}

const ORIGIN = 'ui origin';

/** Set by the app for each request: the origin by which the browser reaches the pages. */
export function setPageOrigin(c: Context, origin: string): void {
  c.set(ORIGIN, origin);
}

export function pageOrigin(c: Context): string {
  return c.get(ORIGIN) as string;
}
