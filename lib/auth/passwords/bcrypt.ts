import { randomBytes } from 'node:crypto';

/** bcrypt takes no more, and what some implementations cut off, `hash-wasm` refuses. */
export const MAX_PASSWORD_BYTES = 72;

/** 60 ms on a core of 2024. */
const DEFAULT_COST = 10;

/** Whether this is the password of which `hash` was made. Keeps the process busy for 60 ms at cost 10. */
export async function isPassword(password: string, hash: string): Promise<boolean> {
  const lengthBytes = Buffer.byteLength(password);
  if (lengthBytes === 0 || lengthBytes > MAX_PASSWORD_BYTES) return false;
  const { bcryptVerify } = await import('hash-wasm');
  return await bcryptVerify({ password, hash });
}

/** In the form that `htpasswd -B` writes. */
export async function hashPassword(password: string, costFactor = DEFAULT_COST): Promise<string> {
  const { bcrypt } = await import('hash-wasm');
  return (await bcrypt({ password, salt: randomBytes(16), costFactor })).replace(/^\$2a/, '$2y');
}

/** A hash that is no password's, but takes as long to compare. */
export function unmatchedHash(cost = DEFAULT_COST): string {
  return `$2y$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
}
