// Access to a registry that is not its own index: the separate index decides, by the token that it issued to the client.
import type { KeyObject } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { every } from 'hono/combine';
import { parseAuthorization, tokenParameters } from '../auth/callers/authorization.ts';
import type { RepositoryEnv } from '../auth/gate.ts';
import { RegistryError } from '../model/errors.ts';
import { type ImageId, parseV1RepositoryName, type RepositoryName } from '../model/names.ts';
import type { Registry } from '../registry/registry.ts';
import type { ImageReader } from '../registry/v1-images/image-rights.ts';
import { type Access, type RouteAccess, setAccess } from './access.ts';
import { IndexClient } from './index-client.ts';
import { hashOf } from './pusher.ts';
import { isSigned } from './signature.ts';

export type IndexAccessOptions = {
  /** Base URL of the index; without it no token is accepted. */
  indexEndpoint?: string;
  /** Verifies requests of the operator's tools, which may do everything. */
  privilegedKey?: KeyObject;
};

type Token = { authorization: string; repository: RepositoryName };

/** The methods that a token of each access allows. A token of any other access allows all of them. */
const METHODS: Record<string, string[]> = {
  read: ['GET', 'HEAD'],
  write: ['POST', 'PUT'],
  delete: ['DELETE'],
};

/** Admits requests whose token the index accepts. The method of the request, not the action, says what the token must allow. */
export function accessByIndex(options: IndexAccessOptions, registry: Registry): RouteAccess {
  const index = options.indexEndpoint ? new IndexClient(options.indexEndpoint) : undefined;
  const admit: MiddlewareHandler = async (c, next) => {
    if (options.privilegedKey && isSigned(c, options.privilegedKey)) {
      setAccess(c, accessToEverything(registry));
      return await next();
    }
    const token = tokenOf(c);
    const images = token && (await index?.images(token.repository, token.authorization));
    if (!index || !token || !images) throw unauthorized();
    await registry.repositories.keepImagesList(token.repository, images);
    setAccess(c, accessByToken(token, images, index, registry));
    await next();
  };
  const parseName: MiddlewareHandler<RepositoryEnv> = async (c, next) => {
    c.set('repository', parseV1RepositoryName(c.req.param('name') ?? ''));
    await next();
  };
  return { allow: () => every(admit, parseName), allowImages: () => admit };
}

/** The access of the operator's tools. */
function accessToEverything({ imageRights }: Registry): Access {
  const reader = { mayPull: () => true, mayReadWithoutGrant: () => true, matchesPusher: () => true };
  return {
    reader,
    pusherId: hashOf(['operator']),
    checkImage: () => undefined,
    checkParent: async () => undefined,
    findReadableKind: (id, options) => imageRights.findReadableKind(id, reader, options),
  };
}

function accessByToken(token: Token, images: ImageId[], index: IndexClient, registry: Registry): Access {
  const { repository, authorization } = token;
  const { imageRights, repositories } = registry;
  const isInIndex = (id: ImageId) => index.mayRead(repository, id, authorization);
  const isReadableByToken = async (id: ImageId) => !(await repositories.isPrivate(repository)) || (await isInIndex(id));
  // The index issues a token for each push.
  const pusherId = hashOf(['index token', authorization]);
  const reader: ImageReader = {
    mayPull: () => true,
    /** Decided by the repository that holds the image, since every client can get a token for a public repository. */
    async confirmPull(holder, id) {
      if (holder === repository) return await isReadableByToken(id);
      const [isPrivate, exists] = await Promise.all([repositories.isPrivate(holder), repositories.exists(holder)]);
      return exists && !isPrivate;
    },
    mayReadWithoutGrant: async (id) => (images.includes(id) ? await isReadableByToken(id) : await isInIndex(id)),
    matchesPusher: (id) => id === pusherId,
  };

  return {
    reader,
    pusherId,
    checkImage(id) {
      if (!images.includes(id)) throw refused('This image does not belong to the repository');
    },
    async checkParent(parent) {
      if (!(await isInIndex(parent))) throw refused('Image depends on an unauthorized parent');
    },
    findReadableKind: (id, options) => imageRights.findReadableKind(id, reader, options),
  };
}

/** The token, if it allows this method and names the repository of the URL. */
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
