import type { Context, MiddlewareHandler } from 'hono';
import type { Action } from '../auth/callers/caller.ts';
import type { ImageId } from '../model/names.ts';
import type { ImageKind, ImageReader } from '../registry/v1-images/image-rights.ts';

/** The line of a route that says what a caller needs: to do this in the repository of the URL, or in any if it has none. */
export type Allow = (action: Action) => MiddlewareHandler;

/** What a request may do beyond what its route says. */
export type Access = {
  /** The caller, as grants of images see it. */
  reader: ImageReader;
  /** Names the pusher records beside the images that the caller pushes, until a tag names them. */
  pusherId: string;
  /** @throws RegistryError IMAGE_INVALID if the caller may not push this image */
  checkImage(id: ImageId): void;
  /** @throws RegistryError IMAGE_INVALID if the caller's images may not build on this one */
  checkParent(parent: ImageId): Promise<void>;
  /** As what the caller may read the image now; undefined if not at all. Called after the image is read. */
  findReadableKind(id: ImageId): Promise<ImageKind | undefined>;
};

const ACCESS = 'access';

export function setAccess(c: Context, access: Access): void {
  c.set(ACCESS, access);
}

export function accessOf(c: Context): Access {
  return c.get(ACCESS) as Access;
}
