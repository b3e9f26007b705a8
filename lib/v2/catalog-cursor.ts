// Where a page of the catalog begins that follows one which ended within what the caller may not see. The `Link` then names
// no repository, but a text that this registry alone can read: the name of a namespace says that the namespace exists.
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** No name begins with it. */
const MARK = '~';

/** Seals and opens cursors. Every process that serves the same catalog needs the same keys. */
export class CatalogCursors {
  readonly #keys: readonly Uint8Array[];

  /** @param keys of 32 bytes: the first seals, each opens */
  constructor(keys: readonly Uint8Array[]) {
    this.#keys = keys;
  }

  seal(position: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#keys[0] ?? new Uint8Array(), nonce);
    const sealed = Buffer.concat([nonce, cipher.update(position, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return `${MARK}${sealed.toString('base64url')}`;
  }

  /** `undefined` if it was not sealed here: then it is a name, or any text. */
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
        // Sealed with another key, or made up.
      }
    }
    return undefined;
  }
}
