import type { Context, MiddlewareHandler } from 'hono';
import type { Action } from '../auth/caller.ts';
import type { ImageId } from '../names.ts';
import type { ImageKind } from '../registry/image-owners.ts';

/** The line of a route that says what a caller needs: to do this in the repository of the URL, or in any if it has none. */
export type Allow = (action: Action) => MiddlewareHandler;

/** What was read, if it was looked for. */
export type Readable = ImageKind | 'whatever it is';

/** What a request may do beyond what its route says. */
export type Access = {
  /** @throws RegistryError IMAGE_INVALID if the caller may not push this image */
  checkImage(id: ImageId): void;
  /** @throws RegistryError IMAGE_INVALID if the caller's images may not build on this one */
  checkParent(parent: ImageId): Promise<void>;
  /** As what the caller may read that which was read of this image before; undefined if not at all. */
  readableAs(id: ImageId): Promise<Readable | undefined>;
  /** @throws RegistryError IMAGE_UNKNOWN if the caller may not read this image, and so not name it by a tag */
  checkTag(id: ImageId): Promise<void>;
  /** Whose the images are that the caller pushes, until a tag says so. */
  pusher?: string;
};

/** Where nobody asks who somebody is. */
export const EVERYTHING: Access = {
  checkImage: () => undefined,
  checkParent: async () => undefined,
  readableAs: async () => 'whatever it is',
  checkTag: async () => undefined,
};

const ACCESS = 'access';

export function setAccess(c: Context, access: Access): void {
  c.set(ACCESS, access);
}

export function accessOf(c: Context): Access {
  return c.get(ACCESS) as Access;
}
