// Tells flavors at the top level of a file from keys that lack their indentation.
import { UNUSED_KEYS, USED_KEYS } from './keys.ts';
import { isMap, isScalar, type YamlNode } from './yaml-nodes.ts';

/** The base of every flavor. */
export const COMMON = 'common';

const USED = outerNames(USED_KEYS);
/** All keys with a present or former meaning, without those of nested maps. */
export const KNOWN_KEYS: ReadonlySet<string> = new Set([...USED, ...outerNames(UNUSED_KEYS)]);
/** Keys whose value is a map of keys: such a map at the top level is not a flavor. */
const MAPS = new Set(Object.keys(USED_KEYS).flatMap((name) => (name.includes('.') ? [outerOf(name)] : [])));

/** A map of known keys, or an empty map. A flavor may have the name of a key whose value is not a map. */
export function isFlavorLike(name: string, node: YamlNode): boolean {
  const isKey = KNOWN_KEYS.has(name);
  if (isScalar(node)) return !isKey && node.isPlain && node.text === '';
  if (!isMap(node) || MAPS.has(name)) return false;
  const expected = isKey ? USED : KNOWN_KEYS;
  return (node.size === 0 && !isKey) || [...node.keys()].some((key) => expected.has(key));
}

function outerNames(keys: object): Set<string> {
  return new Set(Object.keys(keys).map(outerOf));
}

function outerOf(name: string): string {
  return name.split('.')[0] ?? name;
}
