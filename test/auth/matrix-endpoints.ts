// Every endpoint of v1 and v2, what it needs, and what whoever may gets. It is asked for what is not there, where that tells
// as well that the request was let in, so that the requests do not get in each other's way.
import type { Action } from '../../lib/auth/caller.ts';
import { digestOf } from '../v2/client.ts';

export const REPOSITORY = 'm/x';
const EMPTY = digestOf('');

/** Who asks, and what they may do in `m/*`; `other` may do everything in `other/*`. */
export const RIGHTS = {
  other: [],
  pull: ['pull'],
  push: ['pull', 'push'],
  delete: ['pull', 'delete'],
  admin: ['pull', 'push', 'delete'],
} satisfies Record<string, Action[]>;
export type Bearer = keyof typeof RIGHTS;
export const BEARERS = Object.keys(RIGHTS) as Bearer[];

export const SCHEMES = ['Basic', 'Bearer', 'Token'] as const;
export type Scheme = (typeof SCHEMES)[number];

export const ACCESS = [
  { repositories: 'm/*', users: 'pull', actions: 'pull' },
  { repositories: 'm/*', users: 'push', actions: ['pull', 'push'] },
  { repositories: 'm/*', users: 'delete', actions: ['pull', 'delete'] },
  { repositories: 'm/*', users: 'admin', actions: '*' },
  { repositories: 'other/*', users: 'other', actions: '*' },
];
/** What makes the registry one where something is for all. */
export const OPEN = { repositories: 'public/*', users: 'anonymous', actions: 'pull' };

/**
 * What an endpoint needs: to do something in the repository of its URL; to be somebody; to push anywhere; to read an image,
 * which who may not is told is not there; to list; a password for a token; or nothing, be it wrong or not (`open`).
 */
type Need = Action | 'login' | 'push anywhere' | 'image' | 'list' | 'token' | 'nothing' | 'open';

export type Endpoint = {
  method: string;
  path: string;
  needs: Need;
  /** What whoever is let in gets: status, and the code of v2. */
  gets: string;
  /** The same where bytes come from a URL of the storage. */
  getsUrl?: string;
  /** Another than `m/x`, in the path. */
  repository?: string;
  body?: string;
  headers?: Record<string, string>;
};

export const V2: Endpoint[] = [
  { method: 'GET', path: '/v2/', needs: 'login', gets: '200' },
  { method: 'GET', path: '/v2', needs: 'login', gets: '200' },
  { method: 'GET', path: '/v2/_catalog', needs: 'list', gets: '200' },
  { method: 'GET', path: '/v2/_token', needs: 'token', gets: '200' },
  { method: 'POST', path: '/v2/_token', needs: 'nothing', gets: '405 UNSUPPORTED', body: 'grant_type=x' },
  { method: 'GET', path: '/v2/m/x/tags/list', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v2/m/x/manifests/latest', needs: 'pull', gets: '200' },
  { method: 'HEAD', path: '/v2/m/x/manifests/latest', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v2/m/x/manifests/<manifest>', needs: 'pull', gets: '200' },
  { method: 'PUT', path: '/v2/m/x/manifests/latest', needs: 'push', gets: '400 MANIFEST_INVALID', body: '{}' },
  { method: 'DELETE', path: '/v2/m/x/manifests/none', needs: 'delete', gets: '404 MANIFEST_UNKNOWN' },
  { method: 'GET', path: '/v2/m/x/blobs/<blob>', needs: 'pull', gets: '200', getsUrl: '307' },
  { method: 'HEAD', path: '/v2/m/x/blobs/<blob>', needs: 'pull', gets: '200', getsUrl: '307' },
  { method: 'DELETE', path: `/v2/m/x/blobs/${EMPTY}`, needs: 'delete', gets: '404 BLOB_UNKNOWN' },
  { method: 'GET', path: '/v2/m/x/referrers/<manifest>', needs: 'pull', gets: '200' },
  { method: 'POST', path: '/v2/m/x/blobs/uploads/', needs: 'push', gets: '202' },
  { method: 'POST', path: '/v2/m/x/blobs/uploads/?mount=<blob>&from=m/x', needs: 'push', gets: '201' },
  { method: 'GET', path: '<session>', needs: 'open', gets: '204' },
  { method: 'PATCH', path: '<session>', needs: 'open', gets: '202', body: 'x' },
  { method: 'PUT', path: `<session>&digest=${digestOf('x')}`, needs: 'open', gets: '201', body: 'x' },
  { method: 'DELETE', path: '<session>', needs: 'open', gets: '204' },
  {
    method: 'PATCH',
    path: '/v2/m/x/blobs/uploads/made-up?_state=e30.e30',
    needs: 'open',
    gets: '404 BLOB_UPLOAD_UNKNOWN',
  },
  { method: 'GET', path: '/v2/m/x/nothing', needs: 'nothing', gets: '404 NAME_UNKNOWN' },
  { method: 'POST', path: '/v2/m/x/tags/list', needs: 'nothing', gets: '405 UNSUPPORTED' },
];

export const V1: Endpoint[] = [
  { method: 'GET', path: '/v1/_ping', needs: 'open', gets: '200' },
  { method: 'GET', path: '/v1/_status', needs: 'nothing', gets: '200' },
  { method: 'GET', path: '/v1/users', needs: 'login', gets: '200' },
  { method: 'GET', path: '/v1/users/', needs: 'login', gets: '200' },
  { method: 'POST', path: '/v1/users/', needs: 'login', gets: '201', body: '{}' },
  { method: 'PUT', path: '/v1/users/x/', needs: 'login', gets: '204', body: '{}' },
  { method: 'GET', path: '/v1/search?q=x', needs: 'list', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/images', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/tags', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/tags/v1', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/tags/v1/json', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/json', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v1/repositories/m/x/properties', needs: 'pull', gets: '200' },
  { method: 'PUT', path: '/v1/repositories/m/x/', needs: 'push', gets: '400', body: 'x' },
  { method: 'PUT', path: '/v1/repositories/m/x/images', needs: 'push', gets: '400', body: 'x' },
  { method: 'PUT', path: '/v1/repositories/m/x/auth', needs: 'pull', gets: '200', body: 'x' },
  { method: 'PUT', path: '/v1/repositories/m/x/tags/v1', needs: 'push', gets: '400', body: 'x' },
  { method: 'PUT', path: '/v1/repositories/m/x/properties', needs: 'push', gets: '400', body: 'x' },
  { method: 'DELETE', path: '/v1/repositories/m/x/images', needs: 'delete', gets: '204' },
  { method: 'DELETE', path: '/v1/repositories/m/x/tags/none', needs: 'delete', gets: '404' },
  { method: 'DELETE', path: '/v1/repositories/m/none/tags', needs: 'delete', gets: '404', repository: 'm/none' },
  { method: 'DELETE', path: '/v1/repositories/m/none/', needs: 'delete', gets: '404', repository: 'm/none' },
  { method: 'GET', path: '/v1/images/<image>/json', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/ancestry', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/layer', needs: 'image', gets: '200', getsUrl: '302' },
  { method: 'HEAD', path: '/v1/images/<image>/layer', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/files', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/diff', needs: 'image', gets: '400' },
  { method: 'PUT', path: '/v1/images/<new image>/json', needs: 'push anywhere', gets: '400', body: 'x' },
  { method: 'PUT', path: '/v1/images/<new image>/layer', needs: 'push anywhere', gets: '404', body: 'x' },
  {
    method: 'PUT',
    path: '/v1/images/<new image>/checksum',
    needs: 'push anywhere',
    gets: '404',
    headers: { 'X-Docker-Checksum-Payload': 'sha256:x' },
  },
  { method: 'GET', path: '/v1/nothing', needs: 'nothing', gets: '404' },
];

export function isOfV2({ path }: Endpoint): boolean {
  return path.startsWith('/v2') || path.startsWith('<session>');
}
