// Which top-level entries of a file are flavors, and which are keys that were not indented.
import { UNUSED_KEYS, USED_KEYS } from './keys.ts';
import { isMap, isScalar, type YamlNode } from './yaml-nodes.ts';

/** The base of every flavor. */
export const COMMON = 'common';

const USED = outerNames(USED_KEYS);
/** Every key that has or had a meaning, without those within maps. */
export const KNOWN_KEYS: ReadonlySet<string> = new Set([...USED, ...outerNames(UNUSED_KEYS)]);
/** Those whose value is a map of keys of their own: such a map at the top level is no flavor. */
const MAPS = new Set(Object.keys(USED_KEYS).flatMap((name) => (name.includes('.') ? [outerOf(name)] : [])));

/** A map of known keys, or an empty one. The name of a key may be a flavor's too, where the value of the key would be no map. */
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
