// The router of the whole app: it bounds paths, and sees a repository's name as one component.
import type { Context, Next } from 'hono';
import type { Result, Router } from 'hono/router';
import { RegistryError } from '../model/errors.ts';
import { routePath } from './route-path.ts';

/**
 * Longer than any name needs: 255 characters of a repository and 247 bytes of a tag, percent-encoded. The query is not counted:
 * it carries the state of uploads.
 */
export const MAX_PATH_CHARACTERS = 2048;

/** A name of 255 characters has fewer. */
export const MAX_SLASHES = 256;

/** A path that only wildcard routes take. */
export const NOWHERE = '/%00';

/** Finds routes by `routePath`. A path that is too long matches as `NOWHERE`; `refuseLongPaths` answers it. */
export class PathRouter<T> implements Router<T> {
  readonly name = 'PathRouter';
  readonly #router: Router<T>;

  constructor(router: Router<T>) {
    this.#router = router;
  }

  add(method: string, path: string, handler: T): void {
    this.#router.add(method, path, handler);
  }

  match(method: string, path: string): Result<T> {
    return this.#router.match(method, isTooLong(path) ? NOWHERE : routePath(method, path));
  }
}

/** @throws RegistryError PATH_TOO_LONG */
export async function refuseLongPaths({ req: { path } }: Context, next: Next): Promise<void> {
  if (isTooLong(path)) {
    throw new RegistryError(
      'PATH_TOO_LONG',
      `a path has at most ${MAX_PATH_CHARACTERS} characters and ${MAX_SLASHES} slashes`,
      { detail: { characters: path.length } },
    );
  }
  await next();
}

function isTooLong(path: string): boolean {
  if (path.length > MAX_PATH_CHARACTERS) return true;
  let slashes = 0;
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) slashes++;
  return slashes > MAX_SLASHES;
}
