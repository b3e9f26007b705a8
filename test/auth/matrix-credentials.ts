// Values of `Authorization` for each scheme: valid, wrong and expired.
import assert from 'node:assert/strict';
import { SignJWT } from 'jose';
import type { Action } from '../../lib/auth/callers/caller.ts';
import { AccessTokens } from '../../lib/auth/tokens/access-tokens.ts';
import { Robots } from '../../lib/auth/tokens/robots.ts';
import { type TokenHolder, V1Tokens } from '../../lib/auth/tokens/v1-tokens.ts';
import type { RepositoryName } from '../../lib/model/names.ts';
import { SigningKeys } from '../../lib/model/signed-token.ts';
import type { StorageDriver } from '../../lib/storage/driver.ts';
import { type Bearer, REPOSITORY, RIGHTS, type Scheme } from './matrix-endpoints.ts';
import { basic, SECRET } from './test-auth.ts';

export class Credentials {
  readonly #url: URL;
  readonly #expiredRobot: string;
  readonly #v1Tokens = new V1Tokens(new SigningKeys(SECRET));
  #guesses = 0;

  private constructor(url: URL, expiredRobot: string) {
    this.#url = url;
    this.#expiredRobot = expiredRobot;
  }

  /** @param url of the registry that gives tokens; its robots are in `driver` */
  static async open(url: URL, driver: StorageDriver): Promise<Credentials> {
    const robot = { name: 'old', repositories: ['*'], actions: RIGHTS.admin };
    const { token } = await new Robots(driver).create({ ...robot, expiresAt: '2026-01-01T00:00:00Z' });
    return new Credentials(url, token);
  }

  /** A token for exactly what its bearer may do in the repository; for `other`, in another repository. */
  async of(scheme: Scheme, bearer: Bearer, repository: string): Promise<string> {
    if (scheme === 'Basic') return basic(bearer).Authorization;
    const actions: Action[] = bearer === 'other' ? RIGHTS.admin : RIGHTS[bearer];
    const where = bearer === 'other' ? 'other/x' : repository;
    if (scheme === 'Token') {
      return this.#v1Tokens.issue(where as RepositoryName, 'write', { holder: await this.#holderOf(bearer), actions });
    }
    const url = new URL(`/v2/_token?scope=repository:${where}:${actions.join(',')}`, this.#url);
    const response = await fetch(url, { headers: basic(bearer) });
    return `Bearer ${((await response.json()) as { token: string }).token}`;
  }

  /** The holder, as a token that the registry issues names it. */
  async #holderOf(bearer: Bearer): Promise<TokenHolder> {
    const [method, path] = bearer === 'other' ? ['DELETE', 'other/x/images'] : ['GET', `${REPOSITORY}/images`];
    const response = await fetch(new URL(`/v1/repositories/${path}`, this.#url), { method, headers: basic(bearer) });
    await response.arrayBuffer();
    const token = this.#v1Tokens.read(response.headers.get('X-Docker-Token') ?? '');
    return token?.issuedTo ?? assert.fail(`the registry gave ${bearer} no token: ${response.status}`);
  }

  /** Different each time, since the login throttle counts by name. */
  wrong(scheme: Scheme): string {
    this.#guesses++;
    if (scheme === 'Basic') return basic(`user${this.#guesses}`, 'wrong').Authorization;
    if (scheme === 'Bearer') return `Bearer x.y.${this.#guesses}`;
    return `Token signature=ABCDEFGHIJKLMNOP,repository="${REPOSITORY}",access=write`;
  }

  async expired(scheme: Scheme): Promise<string> {
    if (scheme === 'Basic') return basic('robot', this.#expiredRobot).Authorization;
    if (scheme === 'Bearer') return `Bearer ${await expiredBearer()}`;
    const sevenHoursAgo = Date.now() - 7 * 60 * 60 * 1000;
    const admin = { holder: await this.#holderOf('admin'), actions: RIGHTS.admin };
    return this.#v1Tokens.issue(REPOSITORY as RepositoryName, 'write', admin, sevenHoursAgo);
  }
}

/** A token that the registry would have issued some time ago. */
async function expiredBearer(): Promise<string> {
  const grants = [{ repository: REPOSITORY, actions: RIGHTS.admin }];
  const claims = new SignJWT({ grants }).setProtectedHeader({ alg: 'HS256' }).setIssuer('stowage').setSubject('admin');
  const key = new SigningKeys(SECRET).signing('access token');
  const valid = await claims.setExpirationTime('5m').sign(key);
  assert.ok(await new AccessTokens(new SigningKeys(SECRET)).readAccess(valid), 'the test signs as the registry does');
  return await claims.setExpirationTime(Math.floor(Date.now() / 1000) - 1).sign(key);
}
