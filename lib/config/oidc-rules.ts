import type { OidcRule } from '../auth/oidc/logins.ts';
import { boolean, isNull, list, mapOf, NotAllowedError, text, type ValueType } from './value-types.ts';
import { isMap, lineOf, type YamlMap, type YamlNode } from './yaml-nodes.ts';
import { parsed } from './yaml-values.ts';

const RULE_KEYS = ['issuer', 'jwks_uri', 'audience', 'claims', 'groups', 'insecure'];

/** A list of identity providers, each with the claims that its tokens must have. */
export const oidcRules: ValueType<OidcRule[]> = {
  allowed: 'a list of maps, each with issuer, audience, claims and groups',
  parse(node) {
    const value = parsed(node);
    if (isNull(value)) return null;
    return Array.isArray(value) ? value.map((item: YamlNode, index) => parseRule(item, index + 1)) : undefined;
  },
  format: (rules) =>
    rules.map(({ jwksUri, ...rule }) => ({
      ...rule,
      ...(jwksUri !== undefined && { jwks_uri: jwksUri }),
      ...([rule.issuer, jwksUri].some((url) => url?.startsWith('http:')) && { insecure: true }),
    })),
};

function parseRule(node: YamlNode, number: number): OidcRule {
  const fail = (problem: string): never => {
    throw new NotAllowedError(`entry ${number} ${problem}`, lineOf(node));
  };
  if (!isMap(node)) return fail('is not a map');
  const unknown = [...node.keys()].find((key) => !RULE_KEYS.includes(key));
  if (unknown !== undefined) fail(`has ${unknown}; allowed: ${RULE_KEYS.join(', ')}`);
  const get = <T>(key: string, type: ValueType<T>): T | undefined => {
    const item = node.get(key);
    const value = item && type.parse(item);
    if (item && value === undefined) fail(`has a ${key} that is not allowed; allowed: ${type.allowed}`);
    return value ?? undefined;
  };
  const isInsecure = get('insecure', boolean) ?? false;
  const address = (key: string) => {
    const url = get(key, text);
    if (url !== undefined && !isAddress(url, isInsecure))
      fail(`has a ${key} that is no address beginning with https://`);
    return url;
  };
  const issuer = address('issuer') ?? fail('has no issuer');
  const audience =
    get('audience', text) ??
    fail('has no audience: tokens that were issued for another service would open this registry');
  return {
    issuer,
    jwksUri: address('jwks_uri'),
    audience,
    claims: requiredClaims(node, get('claims', mapOf(list)), fail),
    groups: get('groups', list) ?? [],
  };
}

/** A provider such as GitHub issues tokens to all its users, so at least one claim must restrict them. */
function requiredClaims(node: YamlMap, claims: Record<string, string[]> | undefined, fail: (problem: string) => never) {
  if (!node.has('claims') || !claims || Object.keys(claims).length === 0) {
    return fail(
      "has no claims; allowed: a map such as {repository: 'our-org/*'}, or {sub: '*'} for all users of the issuer",
    );
  }
  return claims;
}

/** Plain HTTP is for tests on the same machine. */
function isAddress(text: string, isInsecure: boolean): boolean {
  if (!URL.canParse(text) || text.includes('#')) return false;
  const { protocol, hostname, username, search } = new URL(text);
  if (username !== '' || search !== '') return false;
  return (
    protocol === 'https:' ||
    (isInsecure && protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname))
  );
}
