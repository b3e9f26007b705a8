import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import type { Context } from 'hono';

/**
 * Parses `privileged_key`, the public key that verifies requests of the operator's tools: RSA in PEM
 * (`BEGIN RSA PUBLIC KEY` or `BEGIN PUBLIC KEY`).
 * @throws Error if it is not an RSA public key
 */
export function parsePrivilegedKey(pem: string): KeyObject {
  const key = createPublicKey(pem);
  if (key.asymmetricKeyType !== 'rsa') throw new Error('it is not an RSA key');
  return key;
}

/**
 * Whether `X-Signature` (`k=v;k=v`, with `data` in base64) is a valid signature of this request: RSA PKCS#1 v1.5 with SHA-1
 * over the method, the path and the `X-Docker-*` headers sorted by name, as docker-registry 0.9 verified it.
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

/** `x-docker-token` becomes `X-Docker-Token`, as werkzeug spelled header names. */
function titleCase(name: string): string {
  return name.replace(/(^|-)([a-z])/g, (_, dash: string, letter: string) => dash + letter.toUpperCase());
}
