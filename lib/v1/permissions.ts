// Who may do what with a registry that is its own index: the rules of the configuration say so, as for v2.

import { callerOf, type Gate } from '../auth/gate.ts';
import { type ImageId, parseV1RepositoryName } from '../names.ts';
import { noSuchParent } from '../registry/image-json.ts';
import type { ImageKind } from '../registry/image-owners.ts';
import { imageUnknown } from '../registry/images.ts';
import type { Registry } from '../registry/registry.ts';
import { type Access, type Allow, EVERYTHING, setAccess } from './access.ts';
import { isPushedBy, pusherOf } from './pusher.ts';

/** Routes with a name are for whoever may do this there, those of images for whoever may do it anywhere. */
export function permissions(gate: Gate, registry: Registry): Allow {
  return (action) => {
    const inRepository = gate.allow(action, parseV1RepositoryName);
    const somewhere = gate.allowSomewhere(action);
    return async (c, next) => {
      setAccess(c, gate.asksWho ? accessByOwners(c, gate, registry) : EVERYTHING);
      return await (c.req.param('name') === undefined ? somewhere : inRepository)(c, next);
    };
  };
}

/** Images have no repository: who may pull from one that uses an image may read it, and whoever has pushed it. */
function accessByOwners(c: Parameters<typeof callerOf>[0], gate: Gate, { imageOwners }: Registry): Access {
  const pusher = pusherOf(callerOf(c));
  const readableAs = async (id: ImageId): Promise<ImageKind | undefined> => {
    const { kind, owners, pushers } = await imageOwners.find(id);
    const mayRead =
      gate.mayReadAllImages(c) ||
      owners.some((owner) => gate.mayReadImagesOf(c, owner)) ||
      pushers.some((mark) => isPushedBy(mark, pusher));
    return mayRead ? kind : undefined;
  };
  return {
    pusher: pusher.mark,
    // An id that nobody has used yet is anybody's; what is complete is not pushed again.
    checkImage: () => undefined,
    async checkParent(parent) {
      if (!(await readableAs(parent))) throw noSuchParent(); // as if it were not there
    },
    readableAs,
    async checkTag(id) {
      if (!(await readableAs(id))) throw imageUnknown();
    },
  };
}
