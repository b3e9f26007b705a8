// config.yml as parsed when a function is built, so that an instance does not load a parser of YAML.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, lineOf, placeAt, type YamlNode } from '../lib/config/yaml-nodes.ts';
import { hasCode } from '../lib/model/has-code.ts';

const FILE = 'config.json';

/** A node with its line. */
type Written = { line?: number } & (
  | { text: string; isPlain: boolean }
  | { items: Written[] }
  | { keys: [string, Written][] }
);

/** The files that a function has for its configuration, by name. */
export function builtConfiguration(text: string, root: YamlNode): Record<string, string> {
  return { 'config.yml': text, [FILE]: JSON.stringify({ text, root: written(root) }) };
}

/** The parsed configuration, if it was built of this text. */
export function rootAsBuilt(directory: string, text: string): YamlNode | undefined {
  const built = readBuilt(join(directory, FILE));
  return built?.text === text ? nodeOf(built.root) : undefined;
}

function readBuilt(path: string): { text: string; root: Written } | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined; // the source, which is not bundled
    throw error;
  }
}

function written(node: YamlNode): Written {
  const line = lineOf(node);
  const place = line === undefined ? {} : { line };
  if (isScalar(node)) return { ...place, text: node.text, isPlain: node.isPlain };
  if (isMap(node)) return { ...place, keys: [...node].map(([key, item]) => [key, written(item)]) };
  return { ...place, items: node.map(written) };
}

function nodeOf(from: Written): YamlNode {
  if ('text' in from) return placeAt({ text: from.text, isPlain: from.isPlain }, from.line);
  if ('keys' in from) return placeAt(new Map(from.keys.map(([key, item]) => [key, nodeOf(item)])), from.line);
  return placeAt(from.items.map(nodeOf), from.line);
}
