// Who may do what with a registry that is its own index: the rules of the configuration say so, as for v2.
import type { Context, MiddlewareHandler } from 'hono';
import { every } from 'hono/combine';
import type { Gate } from '../auth/gate.ts';
import { callerOf } from '../auth/request-caller.ts';
import { type ImageId, parseV1RepositoryName } from '../model/names.ts';
import type { Registry } from '../registry/registry.ts';
import { noSuchParent } from '../registry/v1-images/image-json.ts';
import type { ImageReader } from '../registry/v1-images/image-rights.ts';
import { type Access, type RouteAccess, setAccess } from './access.ts';
import { isPushedBy, pusherOf } from './pusher.ts';

/** Access by the rules of the configuration, where the registry is its own index. */
export function permissions(gate: Gate, registry: Registry): RouteAccess {
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
 * Images have no repository: a caller may read one if it may pull from a repository that holds it now, or has just pushed it.
 * Where no login is asked for, that is every caller and every repository.
 */
function accessByGrants(c: Context, gate: Gate, { imageRights }: Registry): Access {
  const pusher = pusherOf(callerOf(c));
  const reader: ImageReader = {
    mayPull: (repository) => gate.mayReadV1ImagesIn(c, repository),
    mayReadWithoutGrant: () => gate.mayReadEveryV1Image(c),
    matchesPusher: (id) => gate.isOpen || isPushedBy(id, pusher),
  };
  const findReadableKind = (id: ImageId) => imageRights.findReadableKind(id, reader);
  return {
    reader,
    pusherId: pusher.id,
    // An id that no client has used yet is free; what is complete is not pushed again.
    checkImage: () => undefined,
    async checkParent(parent) {
      if (!(await findReadableKind(parent))) throw noSuchParent(); // as if it were not there
    },
    findReadableKind,
  };
}
