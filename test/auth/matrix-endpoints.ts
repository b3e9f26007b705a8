// Every endpoint of v1 and v2, what it needs, and what an admitted caller gets. Requests name objects that do not exist where
// a 404 shows as well that the caller was admitted, so that requests do not affect each other.
import type { Action } from '../../lib/auth/callers/caller.ts';
import { digestOf } from '../v2/client.ts';

export const REPOSITORY = 'm/x';
const EMPTY = digestOf('');
/** A manifest that refers to no other object. */
const INDEX = emptyIndex('matrix');

/** The callers, and what they may do in `m/*`; `other` may do everything in `other/*`. */
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
/** A rule for public repositories. */
export const OPEN = { repositories: 'public/*', users: 'anonymous', actions: 'pull' };

/**
 * What an endpoint needs: an action in the repository of its URL; a login; push in any repository; the right to an image (404
 * without it); the right to list; a password for a token; nothing; or nothing, even with wrong credentials (`open`).
 */
type Need = Action | 'login' | 'push anywhere' | 'image' | 'list' | 'token' | 'nothing' | 'open';

export type Endpoint = {
  method: string;
  path: string;
  needs: Need;
  /** The answer to an admitted caller: status, and the body of an error. */
  gets: string;
  /** The same where storage serves bytes by presigned URLs. */
  getsUrl?: string;
  /** The repository in the path, if it is not `m/x`. */
  repository?: string;
  body?: string;
  headers?: Record<string, string>;
};

export const V2: Endpoint[] = [
  { method: 'GET', path: '/v2/', needs: 'login', gets: '200' },
  { method: 'GET', path: '/v2', needs: 'login', gets: '200' },
  { method: 'GET', path: '/v2/_catalog', needs: 'list', gets: '200' },
  { method: 'GET', path: '/v2/_token', needs: 'token', gets: '200' },
  {
    method: 'POST',
    path: '/v2/_token',
    needs: 'nothing',
    gets: `405 ${ofV2('UNSUPPORTED', 'grant_type must be password or refresh_token')}`,
    body: 'grant_type=x',
  },
  { method: 'GET', path: '/v2/m/x/tags/list', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v2/m/x/manifests/latest', needs: 'pull', gets: '200' },
  { method: 'HEAD', path: '/v2/m/x/manifests/latest', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v2/m/x/manifests/<manifest>', needs: 'pull', gets: '200' },
  {
    method: 'PUT',
    path: '/v2/m/x/manifests/latest',
    needs: 'push',
    gets: `400 ${ofV2('MANIFEST_INVALID', 'the manifest has no schemaVersion 2')}`,
    body: '{}',
  },
  { method: 'PUT', path: `/v2/m/x/manifests/${digestOf(INDEX)}?tag=a&tag=b`, needs: 'push', gets: '201', body: INDEX },
  {
    method: 'GET',
    path: '/v2/m/x/manifests/none',
    needs: 'pull',
    gets: `404 ${ofV2('MANIFEST_UNKNOWN', 'manifest none is unknown to m/x', { tag: 'none' })}`,
  },
  {
    method: 'DELETE',
    path: '/v2/m/x/manifests/none',
    needs: 'delete',
    gets: `404 ${ofV2('MANIFEST_UNKNOWN', 'manifest none is unknown to m/x', { tag: 'none' })}`,
  },
  { method: 'DELETE', path: '/v2/m/x/manifests/<new manifest>', needs: 'delete', gets: '202' },
  { method: 'GET', path: '/v2/m/x/blobs/<blob>', needs: 'pull', gets: '200', getsUrl: '307' },
  { method: 'HEAD', path: '/v2/m/x/blobs/<blob>', needs: 'pull', gets: '200', getsUrl: '307' },
  {
    method: 'DELETE',
    path: `/v2/m/x/blobs/${EMPTY}`,
    needs: 'delete',
    gets: `404 ${ofV2('BLOB_UNKNOWN', `blob ${EMPTY} is unknown to m/x`, { digest: EMPTY })}`,
  },
  { method: 'DELETE', path: '/v2/m/x/blobs/<new blob>', needs: 'delete', gets: '202' },
  { method: 'GET', path: '/v2/m/x/referrers/<manifest>', needs: 'pull', gets: '200' },
  { method: 'GET', path: '/v2/_stowage/history/m/x?tag=latest', needs: 'pull', gets: '200' },
  {
    method: 'POST',
    path: '/v2/_stowage/history/m/x?tag=none',
    needs: 'push',
    gets: `404 ${ofV2('MANIFEST_UNKNOWN', 'none of m/x has no history', { tag: 'none' })}`,
  },
  { method: 'POST', path: '/v2/m/x/blobs/uploads/', needs: 'push', gets: '202' },
  { method: 'POST', path: '/v2/m/x/blobs/uploads', needs: 'push', gets: '202' },
  { method: 'POST', path: '/v2/m/x/blobs/uploads/?mount=<blob>&from=m/x', needs: 'push', gets: '201' },
  { method: 'POST', path: `/v2/m/x/blobs/uploads/?digest=${digestOf('y')}`, needs: 'push', gets: '201', body: 'y' },
  { method: 'GET', path: '<session>', needs: 'open', gets: '204' },
  { method: 'PATCH', path: '<session>', needs: 'open', gets: '202', body: 'x' },
  { method: 'PUT', path: `<session>&digest=${digestOf('x')}`, needs: 'open', gets: '201', body: 'x' },
  { method: 'DELETE', path: '<session>', needs: 'open', gets: '204' },
  {
    method: 'PATCH',
    path: '/v2/m/x/blobs/uploads/made-up?_state=e30.e30',
    needs: 'open',
    gets: `404 ${ofV2('BLOB_UPLOAD_UNKNOWN', 'this upload is unknown, has ended, or has expired', { uuid: 'made-up' })}`,
  },
  {
    method: 'GET',
    path: '/v2/m/x/nothing',
    needs: 'nothing',
    gets: `404 ${ofV2('NAME_UNKNOWN', 'there is no /v2/m/x/nothing')}`,
  },
  {
    method: 'POST',
    path: '/v2/m/x/tags/list',
    needs: 'nothing',
    gets: `405 ${ofV2('UNSUPPORTED', '/v2/m/x/tags/list does not take POST')}`,
  },
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
  {
    method: 'PUT',
    path: '/v1/repositories/m/x/',
    needs: 'push',
    gets: `400 ${ofV1('Error Decoding JSON')}`,
    body: 'x',
  },
  {
    method: 'PUT',
    path: '/v1/repositories/m/x/images',
    needs: 'push',
    gets: `400 ${ofV1('Error Decoding JSON')}`,
    body: 'x',
  },
  { method: 'PUT', path: '/v1/repositories/m/x/auth', needs: 'pull', gets: '200', body: 'x' },
  {
    method: 'PUT',
    path: '/v1/repositories/m/x/tags/v1',
    needs: 'push',
    gets: `400 ${ofV1('Invalid data')}`,
    body: 'x',
  },
  {
    method: 'PUT',
    path: '/v1/repositories/m/x/properties',
    needs: 'push',
    gets: `400 ${ofV1('Invalid data')}`,
    body: 'x',
  },
  { method: 'DELETE', path: '/v1/repositories/m/x/images', needs: 'delete', gets: '204' },
  {
    method: 'DELETE',
    path: '/v1/repositories/m/x/tags/none',
    needs: 'delete',
    gets: `404 ${ofV1('Tag not found: none')}`,
  },
  {
    method: 'DELETE',
    path: '/v1/repositories/m/none/tags',
    needs: 'delete',
    gets: `404 ${ofV1('Repository not found')}`,
    repository: 'm/none',
  },
  {
    method: 'DELETE',
    path: '/v1/repositories/m/none/',
    needs: 'delete',
    gets: `404 ${ofV1('Repository not found')}`,
    repository: 'm/none',
  },
  { method: 'GET', path: '/v1/images/<image>/json', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/ancestry', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/layer', needs: 'image', gets: '200', getsUrl: '302' },
  { method: 'HEAD', path: '/v1/images/<image>/layer', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/files', needs: 'image', gets: '200' },
  { method: 'GET', path: '/v1/images/<image>/diff', needs: 'image', gets: `400 ${ofV1('Diff queue is disabled')}` },
  {
    method: 'PUT',
    path: '/v1/images/<new image>/json',
    needs: 'push anywhere',
    gets: `400 ${ofV1('Invalid JSON')}`,
    body: 'x',
  },
  {
    method: 'PUT',
    path: '/v1/images/<new image>/layer',
    needs: 'push anywhere',
    gets: `404 ${ofV1('Image not found')}`,
    body: 'x',
  },
  {
    method: 'PUT',
    path: '/v1/images/<new image>/checksum',
    needs: 'push anywhere',
    gets: `404 ${ofV1('Image not found')}`,
    headers: { 'X-Docker-Checksum-Payload': 'sha256:x' },
  },
  { method: 'GET', path: '/v1/nothing', needs: 'nothing', gets: `404 ${ofV1('there is no /v1/nothing')}` },
];

/** Endpoints outside of `/v1` and `/v2`, which gateways do not have. */
export const ROOT: Endpoint[] = [
  { method: 'GET', path: '/_ping', needs: 'open', gets: '200' },
  { method: 'GET', path: '/_status', needs: 'open', gets: '200' },
];

/** @param title distinguishes endpoints with the same method and path */
export function emptyIndex(title: string): string {
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  return JSON.stringify({ schemaVersion: 2, mediaType, manifests: [], annotations: { title } });
}

/** The whole body of an error. */
export function ofV1(message: string): string {
  return JSON.stringify({ error: message });
}

export function ofV2(code: string, message: string, detail?: object): string {
  return JSON.stringify({ errors: [{ code, message, ...(detail && { detail }) }] });
}

export function isOfV2({ path }: Endpoint): boolean {
  return path.startsWith('/v2') || path.startsWith('<session>');
}
