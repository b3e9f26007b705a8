// Checks entries beside the flavors of a file. docker-registry ignored them, and so would a misplaced `auth` or `access` be.
import { closestName } from './closest-name.ts';
import { ConfigError } from './config-error.ts';
import { COMMON, isFlavorLike, KNOWN_KEYS } from './flavor-names.ts';
import { guardIn, guardMeantBy } from './guards.ts';
import { position } from './position.ts';
import { isMap, isScalar, lineOf, type YamlMap, type YamlNode } from './yaml-nodes.ts';

/**
 * `x-…` and `.…` are reserved for the operator's anchors.
 * @param flavor the effective flavor, which may have the name of a key
 * @returns warnings, one line each
 * @throws ConfigError for a known key, or one that probably means `auth` or `access`
 */
export function checkRootKeys(file: string, root: YamlMap, flavor: string): string[] {
  const base = root.has(COMMON) ? COMMON : flavor;
  const meant = (key: string | undefined) => (key ? `did you mean ${key}, below ${base}:?` : '');
  return [...root].flatMap(([name, node]) => {
    const isOwn = name === flavor || name === COMMON || /^(?:x-|\.)/.test(name);
    if (isOwn || isFlavorLike(name, node)) return [];
    const where = position(file, lineOf(node), name);
    if (KNOWN_KEYS.has(name)) {
      const place = `${base}: (line ${lineOf(root.get(base)) ?? '?'})`;
      throw new ConfigError(
        `${where} stands beside the flavors, where it means nothing: ${moveOf(node)} below ${place}`,
      );
    }
    const problem = `${where} is neither a flavor nor a known key`;
    const guard = guardMeantBy(name) ?? guardIn(node);
    if (guard) throw new ConfigError(`${problem}; ${meant(guard)}`);
    const closest = closestName(name, KNOWN_KEYS);
    return [`${problem} and is ignored${closest ? `; ${meant(closest)}` : ''}`];
  });
}

function moveOf(node: YamlNode): string {
  const isOneLine =
    isScalar(node) || (isMap(node) && [...node.values()].every((item) => lineOf(item) === lineOf(node)));
  return isOneLine ? 'indent the line, and move it' : 'indent its lines, and move them';
}
