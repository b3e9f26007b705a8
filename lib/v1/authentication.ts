// Who may call a registry that is not its own index: whoever has a token that the index accepts.
import type { KeyObject } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { parseAuthorization, tokenParameters } from '../auth/authorization.ts';
import { mapConcurrently } from '../concurrency.ts';
import { RegistryError } from '../errors.ts';
import { type ImageId, parseV1RepositoryName, type RepositoryName } from '../names.ts';
import type { Registry } from '../registry/registry.ts';
import { type Access, type Allow, EVERYTHING, setAccess } from './access.ts';
import { IndexClient } from './index-client.ts';
import { isSigned } from './signature.ts';

export type AuthenticationOptions = {
  /** The index that knows the tokens; without one none is accepted. */
  indexEndpoint?: string;
  /** Signs the requests of the operator's own tools. */
  privilegedKey?: KeyObject;
};

type Token = { authorization: string; repository: RepositoryName };

const METHODS: Record<string, string[]> = {
  read: ['GET', 'HEAD'],
  write: ['POST', 'PUT'],
  delete: ['DELETE'],
};

/** Lets through what the index knows; `accessOf` tells the handlers more. The method says what the token must allow. */
export function authentication(options: AuthenticationOptions, registry: Registry): Allow {
  const index = options.indexEndpoint ? new IndexClient(options.indexEndpoint) : undefined;
  const authenticate: MiddlewareHandler = async (c, next) => {
    if (options.privilegedKey && isSigned(c, options.privilegedKey)) {
      setAccess(c, EVERYTHING);
      return await next();
    }
    const token = tokenOf(c);
    const images = token && (await index?.images(token.repository, token.authorization));
    if (!index || !token || !images) throw unauthorized();
    await registry.repositories.keepImagesList(token.repository, images);
    setAccess(c, accessByToken(token, images, index, registry));
    await next();
  };
  return () => authenticate;
}

function accessByToken(token: Token, images: ImageId[], index: IndexClient, registry: Registry): Access {
  const { repository, authorization } = token;
  const { imageOwners, repositories } = registry;
  const isInIndex = (id: ImageId) => index.mayRead(repository, id, authorization);

  /** By what owns the image, not by what the token names: a public repository's token is anybody's. */
  const isReadable = async (id: ImageId, owners: RepositoryName[]) => {
    if (owners.includes(repository) || images.includes(id)) {
      return !(await repositories.isPrivate(repository)) || (await isInIndex(id));
    }
    if (owners.length === 0) return await isInIndex(id);
    const open = await mapConcurrently(owners, async (owner) => {
      const [isPrivate, exists] = await Promise.all([repositories.isPrivate(owner), repositories.exists(owner)]);
      return exists && !isPrivate;
    });
    return open.includes(true);
  };

  return {
    checkImage(id) {
      if (!images.includes(id)) throw refused('This image does not belong to the repository');
    },
    async checkParent(parent) {
      if (!(await isInIndex(parent))) throw refused('Image depends on an unauthorized parent');
    },
    async readableAs(id) {
      const { kind, owners } = await imageOwners.find(id);
      return (await isReadable(id, owners)) ? kind : undefined;
    },
    // The index has said which repository the token is for, and what is in it.
    checkTag: async () => undefined,
  };
}

/** The token, if it is one for this method and for the repository of the URL. */
function tokenOf(c: Context): Token | undefined {
  const authorization = c.req.header('Authorization') ?? '';
  const { scheme, credentials } = parseAuthorization(authorization);
  if (scheme !== 'token') return undefined;
  const parameters = tokenParameters(credentials);
  const access = parameters.get('access');
  const name = parameters.get('repository');
  const allowed = access !== undefined && Object.hasOwn(METHODS, access) ? METHODS[access] : undefined;
  if (name === undefined || (allowed && !allowed.includes(c.req.method))) return undefined;
  try {
    const repository = parseV1RepositoryName(name);
    const inUrl = c.req.param('name');
    if (inUrl !== undefined && parseV1RepositoryName(inUrl) !== repository) return undefined;
    return { authorization, repository };
  } catch {
    return undefined;
  }
}

function unauthorized(): RegistryError {
  return new RegistryError('UNAUTHORIZED', 'Requires authorization', { headers: { 'WWW-Authenticate': 'Token' } });
}

function refused(message: string): RegistryError {
  return new RegistryError('IMAGE_INVALID', message);
}
