// Encrypted positions in the catalog. A page may end at a namespace that the caller may not list: its name in the link to the next
// page would reveal that it exists.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** No repository's name begins with this character. */
const MARK = '~';

/** Encrypts and decrypts positions. All processes that serve one catalog need the same keys. */
export class CatalogCursors {
  readonly #keys: readonly Uint8Array[];

  /** @param keys of 32 bytes: the first encrypts, all decrypt */
  constructor(keys: readonly Uint8Array[]) {
    this.#keys = keys;
  }

  seal(position: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#keys[0] ?? new Uint8Array(), nonce);
    const sealed = Buffer.concat([nonce, cipher.update(position, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${MARK}${sealed.toString('base64url')}`;
  }

  /** The position; `undefined` for a text that `seal` did not make. */
  open(cursor: string): string | undefined {
    if (!cursor.startsWith(MARK)) return undefined;
    const sealed = Buffer.from(cursor.slice(MARK.length), 'base64url');
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
    for (const key of this.#keys) {
      const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, NONCE_BYTES));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      try {
        const opened = [decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()];
        return Buffer.concat(opened).toString('utf8');
      } catch {
        // Encrypted with another key, or not by this registry.
      }
    }
    return undefined;
  }
}
