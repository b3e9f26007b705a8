import type { TextSource, VersionedText } from '../../../lib/auth/passwords/text-source.ts';

/** A text that the test sets; `fails` makes it unreadable. */
export class MemorySource implements TextSource {
  readonly name = 'a text in memory';
  readonly intervalMs = 0;
  text: string;
  fails = false;

  constructor(text: string) {
    this.text = text;
  }

  async read(known?: string): Promise<VersionedText | undefined> {
    if (this.fails) throw new Error('not now');
    return known === this.text ? undefined : { text: this.text, version: this.text };
  }
}
