// The repositories of a namespace in the order of their names. Storage lists them in the order of their keys, in which `/` is
// `%2F` and every name ends with `/`: `b%2Fc/`, `b-c/`, `b.c/`, `b/`, where the order of names is `b`, `b-c`, `b.c`, `b/c`. Names
// with the same stem, which are the characters up to the first `-`, `.` or `/`, follow each other in both orders. So a group of
// one stem is sorted in memory, and one that is too large for that is read in its four parts, each in turn.
import { type KeyPrefix, layout, repositoryOf } from '../../model/layout.ts';
import type { RepositoryName } from '../../model/names.ts';
import type { StorageDriver } from '../../storage/driver.ts';

/** The folders of one listing request, and the most names that are sorted in memory. */
const MAX_GROUP = 1000;

const STEM = /^[^%./-]*/;

/** Names that v2 has: keys of others sort as their escaped characters do. */
const PLAIN = /^(?:[A-Za-z0-9_.-]|%2F)+$/;

export type NamesInOrderOptions = {
  /** Names up to this one are left out. */
  after?: string | undefined;
  /** Other than the default in tests only. */
  maxGroup?: number;
};

/**
 * The names that v2 clients can use. One storage request per 1,000 names, and up to four for each stem that more than 1,000 names
 * have in common.
 */
export async function* namesInOrder(
  storage: StorageDriver,
  namespace: string,
  { after, maxGroup = MAX_GROUP }: NamesInOrderOptions = {},
): AsyncGenerator<RepositoryName> {
  const folder = layout.namespace(namespace);
  const isWanted = (name: RepositoryName) => after === undefined || name > after;

  /** @param prefix of the keys, below the folder of the namespace */
  async function* below(prefix: string): AsyncGenerator<RepositoryName> {
    const start = positionIn(prefix);
    if (start === undefined) return;
    let from: string | undefined = start;
    while (from !== undefined) {
      let group: { stem: string; names: RepositoryName[] } | undefined;
      let tooLarge: string | undefined;
      for await (const key of storage.listFolders(folder, { after: folder + from })) {
        const part = key.slice(folder.length, -1);
        if (!part.startsWith(prefix)) break;
        const [stem = ''] = STEM.exec(part.slice(prefix.length)) ?? [];
        if (group && group.stem !== stem) {
          yield* sorted(group.names);
          group = undefined;
        }
        group ??= { stem, names: [] };
        const name = PLAIN.test(part) ? repositoryOf(namespace, key) : undefined;
        if (name) group.names.push(name);
        if (group.names.length <= maxGroup) continue;
        tooLarge = prefix + stem;
        break;
      }
      if (tooLarge === undefined) {
        yield* sorted(group?.names ?? []);
        return;
      }
      yield* ofStem(tooLarge);
      from = `${tooLarge}/`;
    }
  }

  async function* ofStem(stem: string): AsyncGenerator<RepositoryName> {
    const own = repositoryOf(namespace, `${folder}${stem}/` as KeyPrefix);
    if (own && isWanted(own) && (await exists(stem))) yield own;
    for (const separator of ['-', '.', '%2F']) yield* below(stem + separator);
  }

  /** Where the listing of this prefix begins; undefined if `after` comes after all of its names. */
  function positionIn(prefix: string): string | undefined {
    const beginning = nameOf(prefix);
    if (after === undefined || after < beginning) return prefix;
    if (!after.startsWith(beginning)) return undefined;
    const [stem = ''] = STEM.exec(after.slice(beginning.length)) ?? [];
    return prefix + stem;
  }

  function nameOf(prefix: string): string {
    return `${namespace}/${prefix.replaceAll('%2F', '/')}`;
  }

  async function exists(part: string): Promise<boolean> {
    for await (const _ of storage.list(`${folder}${part}/` as KeyPrefix)) return true;
    return false;
  }

  function sorted(names: RepositoryName[]): RepositoryName[] {
    return names.filter(isWanted).sort();
  }

  yield* below('');
}
