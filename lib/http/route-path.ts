// The name of a repository has any number of components, and the resource follows it: `/v2/a/b/manifests/latest`. The router gets
// the name as one component, so routes need no pattern that matches slashes, which a router would try again at every slash.
import { tryDecodeURIComponent } from 'hono/utils/url';

const V2 = '/v2/';
const V1 = '/v1/repositories/';

/** Resources of v2 that one component follows: `manifests/latest`. */
const V2_RESOURCES = ['manifests', 'blobs', 'tags', 'referrers'];

/** Resources of Stowage's own, which a name may follow: `/v2/_stowage/history/a/b`. No name begins with an underscore. */
const OWN = '_stowage';
const OWN_COMPONENTS = 2;
/** Those that no name follows: their paths are as they are. */
const OWN_WITHOUT_NAME = ['retention'];

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
  if (prefix === V2 && components[0] === OWN) return routePathOfOwn(path, components);
  const nameLength = prefix === V2 ? nameLengthOfV2(components) : nameLengthOfV1(components, method);
  // A name of one component is in place already.
  if (nameLength < 2) return path;
  const name = asOneComponent(components.slice(0, nameLength));
  return name === undefined ? path : prefix + [name, ...components.slice(nameLength)].join('/');
}

function routePathOfOwn(path: string, components: readonly string[]): string {
  if (components.length <= OWN_COMPONENTS + 1 || OWN_WITHOUT_NAME.includes(components[1] ?? '')) return path;
  const name = asOneComponent(components.slice(OWN_COMPONENTS));
  return name === undefined ? path : V2 + [...components.slice(0, OWN_COMPONENTS), name].join('/');
}

/** A name in one component of a path; `undefined` if it is not well-formed Unicode. */
function asOneComponent(components: readonly string[]): string | undefined {
  const name = tryDecodeURIComponent(components.join('/'));
  return name.isWellFormed() ? encodeURIComponent(name) : undefined;
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
