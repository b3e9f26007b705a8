// Who may call a registry that is not its own index: whoever has a token that the index accepts.
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
export function authentication(options: AuthenticationOptions, registry: Registry): RouteAccess {
  const index = options.indexEndpoint ? new IndexClient(options.indexEndpoint) : undefined;
  const authenticate: MiddlewareHandler = async (c, next) => {
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
  return { allow: () => every(authenticate, parseName), allowImages: () => authenticate };
}

/** Of the operator's own tools: to what is there. */
function accessToEverything({ imageRights }: Registry): Access {
  const reader = { mayPull: () => true, mayReadWithoutGrant: () => true, matchesPusher: () => true };
  return {
    reader,
    pusherId: hashOf(['operator']),
    checkImage: () => undefined,
    checkParent: async () => undefined,
    findReadableKind: (id) => imageRights.findReadableKind(id, reader),
  };
}

function accessByToken(token: Token, images: ImageId[], index: IndexClient, registry: Registry): Access {
  const { repository, authorization } = token;
  const { imageRights, repositories } = registry;
  const isInIndex = (id: ImageId) => index.mayRead(repository, id, authorization);
  const isOpenToToken = async (id: ImageId) => !(await repositories.isPrivate(repository)) || (await isInIndex(id));
  // One token is that of one push.
  const pusherId = hashOf(['index token', authorization]);
  const reader: ImageReader = {
    mayPull: () => true,
    /** By what holds the image, not by what the token names: every client can get the token of a public repository. */
    async confirmPull(holder, id) {
      if (holder === repository) return await isOpenToToken(id);
      const [isPrivate, exists] = await Promise.all([repositories.isPrivate(holder), repositories.exists(holder)]);
      return exists && !isPrivate;
    },
    mayReadWithoutGrant: async (id) => (images.includes(id) ? await isOpenToToken(id) : await isInIndex(id)),
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
    findReadableKind: (id) => imageRights.findReadableKind(id, reader),
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
