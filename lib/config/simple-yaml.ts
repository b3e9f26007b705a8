// The values of most environment variables, read without js-yaml, which takes far longer to load and to parse them.
import { placeAt, type YamlNode } from './yaml-nodes.ts';

/** A text that is a plain scalar in every context. */
const WORD = /^(?:[A-Za-z0-9_/][A-Za-z0-9_./-]*)?$/;
/** A map of one key with a quoted text, as `AUTH` is in the stack: `{htpasswd: "arn:…"}`. */
const ONE_KEY = /^\{([a-z_]+): "([ !#-[\]-~]*)"\}$/;

/** @returns `undefined` for YAML of any other form */
export function parseSimpleYaml(text: string): YamlNode | undefined {
  if (WORD.test(text)) return { text, isPlain: true };
  const [, key, value] = ONE_KEY.exec(text) ?? [];
  if (key === undefined || value === undefined) return undefined;
  return placeAt(new Map([[key, placeAt({ text: value, isPlain: false }, 1)]]), 1);
}
