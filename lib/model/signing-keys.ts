import { hkdfSync } from 'node:crypto';

const KEY_BYTES = 32;

/** Keys for all that is signed, each for one purpose, so that nothing signed for one passes for another. */
export class Keys {
  readonly #secrets: readonly string[];

  /** @param previous secrets of before, which are still accepted but sign nothing any more */
  constructor(secret: string, previous: readonly string[] = []) {
    this.#secrets = [secret, ...previous];
  }

  /** The key that signs. @see https://www.rfc-editor.org/rfc/rfc5869 */
  signing(purpose: string): Uint8Array {
    return derive(this.#secrets[0] ?? '', purpose);
  }

  /** Keys of signatures that are accepted, the newest first. */
  accepted(purpose: string): Uint8Array[] {
    return this.#secrets.map((secret) => derive(secret, purpose));
  }
}

function derive(secret: string, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', `stowage ${purpose}`, KEY_BYTES));
}
