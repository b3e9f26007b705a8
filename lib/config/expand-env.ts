import { isMap, isScalar, lineOf, type ParseYaml, placeAt, type Scalar, type YamlNode } from './yaml-nodes.ts';

/** `_env:`, the name, and after a second colon the default, which may contain colons. */
const REFERENCE = /^_env:([^:]*)(?::(.*))?$/s;

/** Environment variables, and what parses their values where more than a text is expected. */
export type Variables = { env: NodeJS.ProcessEnv; parse: ParseYaml };

/**
 * Replaces `_env:NAME` and `_env:NAME:default` in values at any depth, lists included; keys and results are not expanded.
 * A variable that is set but empty gives null, not the default.
 */
export function expandEnv(node: YamlNode, variables: Variables): YamlNode {
  return placeAt(expanded(node, variables), lineOf(node));
}

function expanded(node: YamlNode, variables: Variables): YamlNode {
  if (isScalar(node)) return expandScalar(node, variables);
  if (isMap(node)) return new Map([...node].map(([key, item]) => [key, expandEnv(item, variables)]));
  return node.map((item) => expandEnv(item, variables));
}

function expandScalar(scalar: Scalar, { env, parse }: Variables): Scalar {
  const [, name, fallback = ''] = REFERENCE.exec(scalar.text) ?? [];
  if (name === undefined) return scalar;
  const set = Object.hasOwn(env, name) ? env[name] : undefined;
  return { text: set ?? fallback, isPlain: true, variable: { name, isDefault: set === undefined, parse } };
}
