// The name of a repository has any number of components, and the resource follows it: `/v2/a/b/manifests/latest`. The router gets
// the name as one component, so routes need no pattern that matches slashes, which a router would try again at every slash.
import { tryDecodeURIComponent } from 'hono/utils/url';

const V2 = '/v2/';
const V1 = '/v1/repositories/';

/** Resources of v2 that one component follows: `manifests/latest`. */
const V2_RESOURCES = ['manifests', 'blobs', 'tags', 'referrers'];

/** Resources of v1 that nothing follows. */
const V1_RESOURCES = ['json', 'tags', 'images', 'auth', 'properties'];

/**
 * The path by which a route is found: `/v2/a%2Fb/manifests/latest` for `/v2/a/b/manifests/latest`. A path without a
 * resource (`DELETE /v1/repositories/a/b`) is returned as it is.
 * @param method `/v1/repositories/a/tags/tags/json` is the metadata of the tag `tags` for GET, and the tag `json` for PUT
 */
export function routePath(method: string, path: string): string {
  const prefix = [V2, V1].find((start) => path.startsWith(start));
  if (prefix === undefined) return path;
  const components = path.slice(prefix.length).split('/');
  const nameLength = prefix === V2 ? nameLengthOfV2(components) : nameLengthOfV1(components, method);
  // A name of one component is in place already.
  if (nameLength < 2) return path;
  const name = tryDecodeURIComponent(components.slice(0, nameLength).join('/'));
  if (!name.isWellFormed()) return path;
  return prefix + [encodeURIComponent(name), ...components.slice(nameLength)].join('/');
}

/** The number of components of the name; 0 for a path without a resource of v2. */
function nameLengthOfV2(components: readonly string[]): number {
  const { length } = components;
  if (components.at(-3) === 'blobs' && components.at(-2) === 'uploads') return length - 3;
  return V2_RESOURCES.includes(components.at(-2) ?? '') ? length - 2 : 0;
}

function nameLengthOfV1(components: readonly string[], method: string): number {
  const { length } = components;
  const isTagMetadata = method === 'GET' && components.at(-3) === 'tags' && components.at(-1) === 'json';
  if (isTagMetadata && length > 3) return length - 3;
  if (components.at(-2) === 'tags' && length > 2) return length - 2;
  return V1_RESOURCES.includes(components.at(-1) ?? '') ? length - 1 : 0;
}
