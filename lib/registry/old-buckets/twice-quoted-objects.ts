// docker-registry 0.9 percent-quoted the parts of a key once more than 0.6 did: `a/b/c` lies in `a/b%252Fc` instead of
// `a/b%2Fc`, and tag `1.0+b` in `tag_1.0%2Bb`. What `merge-twice-quoted.ts` finds at run time is brought to 0.6's form, and tags too.
import { type Key, lastPartOf, layout, withoutTwiceQuoting } from '../../model/layout.ts';
import { unquotePlus } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';

/** An object, and the key that 0.6 would have given it. */
export type TwiceQuotedObject = { from: Key; to: Key };

const QUOTED = /%[0-9A-F]{2}/;

/** All objects of repositories whose key would be another. A request per 1,000 objects of the repositories concerned. */
export async function* listTwiceQuoted(storage: StorageDriver): AsyncGenerator<TwiceQuotedObject> {
  for await (const namespace of storage.listFolders(layout.repositories())) {
    for await (const folder of storage.listFolders(namespace)) {
      for await (const { key } of storage.list(folder)) {
        const to = `${withoutTwiceQuoting(folder)}${nameOnceQuoted(lastPartOf(key))}` as Key;
        if (to !== key) yield { from: key, to };
      }
    }
  }
}

/** `tag_1.0%2Bb` and `tag1.0%2Bb_json`; other objects have fixed names. */
function nameOnceQuoted(name: string): string {
  return name.startsWith('tag') && QUOTED.test(name) ? (unquotePlus(name) ?? name) : name;
}
