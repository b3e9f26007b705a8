import { plainValue } from './plain-value.ts';
import { isMap, isScalar, placeAt, type YamlNode } from './yaml-nodes.ts';

/** Parses the YAML of an environment variable in a node. @throws YamlError */
export function parsed(node: YamlNode): YamlNode {
  return isScalar(node) && node.variable ? withoutLines(node.variable.parse(node.text)) : node;
}

/** Drops line numbers: lines of a variable are not lines of the file. */
function withoutLines(node: YamlNode): YamlNode {
  if (isMap(node)) for (const item of node.values()) withoutLines(item);
  else if (!isScalar(node)) for (const item of node) withoutLines(item);
  return placeAt(node, undefined);
}

/** The node as plain data. @throws YamlError */
export function toData(node: YamlNode): unknown {
  const value = parsed(node);
  if (isScalar(value)) return value.isPlain ? plainValue(value.text) : value.text;
  if (isMap(value)) return Object.fromEntries([...value].map(([key, item]) => [key, toData(item)]));
  return value.map(toData);
}
