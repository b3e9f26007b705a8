import { isMap, isScalar, lineOf, placeAt, type Scalar, type YamlNode } from './yaml-nodes.ts';

/** `_env:`, the name, and after a second colon the default, which may contain colons. */
const REFERENCE = /^_env:([^:]*)(?::(.*))?$/s;

/**
 * Replaces `_env:NAME` and `_env:NAME:default` in values at any depth, lists included; keys and results are not expanded.
 * A variable that is set but empty gives null, not the default.
 */
export function expandEnv(node: YamlNode, env: NodeJS.ProcessEnv): YamlNode {
  return placeAt(expanded(node, env), lineOf(node));
}

function expanded(node: YamlNode, env: NodeJS.ProcessEnv): YamlNode {
  if (isScalar(node)) return expandScalar(node, env);
  if (isMap(node)) return new Map([...node].map(([key, item]) => [key, expandEnv(item, env)]));
  return node.map((item) => expandEnv(item, env));
}

function expandScalar(scalar: Scalar, env: NodeJS.ProcessEnv): Scalar {
  const [, name, fallback = ''] = REFERENCE.exec(scalar.text) ?? [];
  if (name === undefined) return scalar;
  const set = Object.hasOwn(env, name) ? env[name] : undefined;
  return { text: set ?? fallback, isPlain: true, variable: { name, isDefault: set === undefined } };
}
