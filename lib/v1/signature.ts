import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Context } from 'hono';

/**
 * Reads the key that signs requests: RSA, PKCS#1 in PEM (`BEGIN RSA PUBLIC KEY`).
 * @throws Error if it is no such key
 */
export function parsePrivilegedKey(pem: string): KeyObject {
  const key = createPublicKey(pem);
  if (key.asymmetricKeyType !== 'rsa') throw new Error('it is not an RSA key');
  return key;
}

/**
 * Whether `X-Signature` (`k=v;k=v`, of which `data` is base64) signs this request: method, path, and the headers that
 * start with `X-Docker`, sorted by name. RSA PKCS#1 v1.5 over SHA-1, as docker-registry 0.9 checked it.
 */
export function isSigned(c: Context, key: KeyObject): boolean {
  const fields = new Map((c.req.header('X-Signature') ?? '').split(';').map((field) => splitOnce(field, '=')));
  const data = fields.get('data');
  if (!data) return false;
  const headers = [...c.req.raw.headers]
    .filter(([name]) => name.startsWith('x-docker'))
    .map(([name, value]) => `${titleCase(name)}:${value}`)
    .sort();
  const message = [c.req.method, c.req.path, ...headers].join(',');
  return verify('sha1', Buffer.from(message), key, Buffer.from(data, 'base64'));
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)];
}

/** `X-Docker-Token`, as werkzeug spelled names that HTTP does not distinguish. */
function titleCase(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}
