// Access to a registry that is its own index: the access rules of the configuration decide, as for v2.
import type { Context, MiddlewareHandler } from 'hono';
import { every } from 'hono/combine';
import type { Gate } from '../auth/gate.ts';
import { callerOf } from '../auth/request-caller.ts';
import { parseV1RepositoryName } from '../model/names.ts';
import type { Registry } from '../registry/registry.ts';
import { noSuchParent } from '../registry/v1-images/image-json.ts';
import type { ImageReader } from '../registry/v1-images/image-rights.ts';
import { type Access, type RouteAccess, setAccess } from './access.ts';
import { isPushedBy, pusherOf } from './pusher.ts';

/** Checks access by the rules of the configuration. */
export function accessByRules(gate: Gate, registry: Registry): RouteAccess {
  const setAccessByGrants: MiddlewareHandler = async (c, next) => {
    setAccess(c, accessByGrants(c, gate, registry));
    await next();
  };
  return {
    allow: (action) => every(setAccessByGrants, gate.allow(action, parseV1RepositoryName)),
    allowImages: (action) => every(setAccessByGrants, gate.allowSomewhere(action)),
  };
}

/**
 * v1 images have no repository. A caller may read one if it may pull from a repository that holds it, or if it has pushed it
 * and no tag names it yet. In an open registry every caller may read every image.
 */
function accessByGrants(c: Context, gate: Gate, { imageRights }: Registry): Access {
  const pusher = pusherOf(callerOf(c));
  const reader: ImageReader = {
    mayPull: (repository) => gate.mayReadV1ImagesIn(c, repository),
    mayReadWithoutGrant: () => gate.mayReadEveryV1Image(c),
    matchesPusher: (id) => gate.isOpen || isPushedBy(id, pusher),
  };
  const findReadableKind: Access['findReadableKind'] = (id, options) =>
    imageRights.findReadableKind(id, reader, options);
  return {
    reader,
    pusherId: pusher.id,
    // Any id may be pushed: ImagePushes protects the images that exist.
    checkImage: () => undefined,
    async checkParent(parent) {
      if (!(await findReadableKind(parent))) throw noSuchParent(); // does not reveal that the image exists
    },
    findReadableKind,
  };
}
