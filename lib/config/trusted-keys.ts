import { MAX_TRUSTED_KEYS, parseTrustedKey, type TrustedKeySource } from '../ui/data/signatures/trusted-keys.ts';
import { checkItemKeys, failOf, readRepositoryPatterns } from './list-item.ts';
import { isNull, NotAllowedError, text, type ValueType } from './value-types.ts';
import { isMap, lineOf, type YamlNode } from './yaml-nodes.ts';
import { parsed } from './yaml-values.ts';

const KEYS = ['name', 'key', 'repositories'] as const;
const MAX_NAME_CHARACTERS = 64;
const ALLOWED_REPOSITORIES = 'patterns such as team/*, or nothing for all';

/** A list of trusted keys. A key in the file itself is read here, one in another file when the server starts. */
export const trustedKeys: ValueType<TrustedKeySource[]> = {
  allowed: 'a list of keys, each with name and key, and with repositories unless it is for all',
  parse(node) {
    const value = parsed(node);
    if (isNull(value)) return null;
    // The value is not in the message: it may be a private key.
    if (!Array.isArray(value))
      throw new NotAllowedError('must be a list of keys, each with name and key', lineOf(value));
    if (value.length > MAX_TRUSTED_KEYS) {
      throw new NotAllowedError(`has ${value.length} keys; at most ${MAX_TRUSTED_KEYS} are allowed`, lineOf(value));
    }
    const read = value.map((item: YamlNode, index) => readKey(item, index + 1));
    for (const [index, { name }] of read.entries()) {
      if (read.findIndex((other) => other.name === name) < index) {
        throw new NotAllowedError(`key ${index + 1} has the name ${name} of another one`, lineOf(value[index]));
      }
    }
    return read;
  },
  format: (read) =>
    read.map(({ name, repositories, ...source }) => ({
      name,
      key: 'pem' in source ? source.pem : source.path,
      repositories,
    })),
};

/** @param number from 1 on, for messages, which hold no text of a key: it may be a private one */
function readKey(item: YamlNode, number: number): TrustedKeySource {
  const node = parsed(item);
  const fail = failOf(`key ${number}`, node);
  if (!isMap(node)) return fail(`must be a map with ${KEYS.join(', ')}`);
  checkItemKeys(node, KEYS, fail);
  const nameNode = node.get('name');
  const name = (nameNode && text.parse(nameNode))?.trim();
  if (!name || name.length > MAX_NAME_CHARACTERS) {
    return fail(`has no name of 1 to ${MAX_NAME_CHARACTERS} characters; pages show it as the signer`, nameNode);
  }
  const keyNode = node.get('key');
  const key = (keyNode && text.parse(keyNode))?.trim();
  if (!key) return fail('has no key; allowed: the text of a PEM file, or the path of one', keyNode);
  const isPem = key.includes('-----BEGIN');
  if (isPem) {
    try {
      parseTrustedKey(key);
    } catch (error) {
      return fail(`(${name}) is not usable: ${error instanceof Error ? error.message : 'unknown'}`, keyNode);
    }
  }
  const repositories = node.get('repositories');
  return {
    name,
    repositories: repositories ? readRepositoryPatterns(repositories, { fail, allowed: ALLOWED_REPOSITORIES }) : ['*'],
    ...(isPem ? { pem: key } : { path: key }),
  };
}
