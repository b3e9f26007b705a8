import type { Context, MiddlewareHandler } from 'hono';
import type { Action } from '../auth/callers/caller.ts';
import type { RepositoryEnv } from '../auth/gate.ts';
import type { ImageId } from '../model/names.ts';
import type { ImageKind, ImageReader } from '../registry/v1-images/image-rights.ts';

/** Makes the middleware by which the routes of v1 check access before their handlers run. */
export type RouteAccess = {
  /** Admits callers that may do this in the repository of the URL; the handler finds it parsed in `c.var.repository`. */
  allow: (action: Action) => MiddlewareHandler<RepositoryEnv>;
  /** For routes of images, which name no repository: admits callers that may do this in any. */
  allowImages: (action: Action) => MiddlewareHandler;
};

/** What the caller of a request may do with single images. The middleware of the route attaches it to the request. */
export type Access = {
  /** The caller's rights, for the check of an image's grants. */
  reader: ImageReader;
  /** Names the pusher records beside the images that the caller pushes, until a tag names them. */
  pusherId: string;
  /** @throws RegistryError IMAGE_INVALID if the caller may not push this image */
  checkImage(id: ImageId): void;
  /** @throws RegistryError IMAGE_INVALID if the caller's images may not build on this one */
  checkParent(parent: ImageId): Promise<void>;
  /**
   * Whether the caller may read the image now, and as which kind; undefined if not. Called after the image is read.
   * @param options as those of `ImageRights.findReadableKind`
   */
  findReadableKind(id: ImageId, options?: { isOfPushed?: boolean }): Promise<ImageKind | undefined>;
};

const ACCESS = 'access';

export function setAccess(c: Context, access: Access): void {
  c.set(ACCESS, access);
}

export function accessOf(c: Context): Access {
  return c.get(ACCESS) as Access;
}
