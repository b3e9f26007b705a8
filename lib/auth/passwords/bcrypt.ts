import { randomBytes } from 'node:crypto';

/** The limit of bcrypt. Some implementations ignore the bytes after it; `hash-wasm` refuses the password. */
export const MAX_PASSWORD_BYTES = 72;

/** A comparison takes 60 ms on a core of 2024. */
const DEFAULT_COST = 10;

/** Whether `hash` was made from this password. Blocks the thread for 60 ms at cost 10. */
export async function isPassword(password: string, hash: string): Promise<boolean> {
  const lengthBytes = Buffer.byteLength(password);
  if (lengthBytes === 0 || lengthBytes > MAX_PASSWORD_BYTES) return false;
  const { bcryptVerify } = await import('./bcrypt-wasm.ts');
  return await bcryptVerify({ password, hash });
}

/** Hashes a password, in the form that `htpasswd -B` writes. */
export async function hashPassword(password: string, costFactor = DEFAULT_COST): Promise<string> {
  const { bcrypt } = await import('./bcrypt-wasm.ts');
  return (await bcrypt({ password, salt: randomBytes(16), costFactor })).replace(/^\$2a/, '$2y');
}

/** A hash that no password matches, and that takes as long to compare as any other of this cost. */
export function unmatchedHash(cost = DEFAULT_COST): string {
  return `$2y$${String(cost).padStart(2, '0')}$${'.'.repeat(53)}`;
}
