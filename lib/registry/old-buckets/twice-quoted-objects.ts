// docker-registry 0.9 quoted each part of a key once more than 0.6. Repository `a/b/c` is `a/b%252Fc` instead of `a/b%2Fc`, and
// tag `1.0+b` is `tag_1.0%2Bb` instead of `tag_1.0+b`. `merge-twice-quoted.ts` reads such repositories where they are; such
// tags, and copies of both under the keys of 0.6, come from `stowage adopt`.
import { type Key, layout, withoutTagQuoting, withoutTwiceQuoting } from '../../model/layout.ts';
import type { StorageDriver } from '../../storage/driver.ts';

/** The key of an object of 0.9, and the key that 0.6 would have used. */
export type TwiceQuotedObject = { from: Key; to: Key };

/** All objects of repositories with a key that 0.6 would have quoted once less. One storage request per 1,000 objects. */
export async function* listTwiceQuoted(storage: StorageDriver): AsyncGenerator<TwiceQuotedObject> {
  for await (const { key } of storage.list(layout.repositories())) {
    const to = withoutTagQuoting(withoutTwiceQuoting(key));
    if (to !== key) yield { from: key, to };
  }
}
