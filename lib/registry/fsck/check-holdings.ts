import { layout, tagOf } from '../../model/layout.ts';
import { digestOfHex, type RepositoryName } from '../../model/names.ts';
import { decodeText } from '../../streams/bytes.ts';
import { joinWithSpill } from '../inventory/spill.ts';
import type { Manifests } from '../manifests/manifests.ts';
import { decodeTarget } from '../tags/target.ts';
import type { Check, Holding } from './check.ts';
import { hasManifest } from './check-repositories.ts';

type Of<K extends Holding['kind']> = Extract<Holding, { kind: K }>;

/** Reports what names a manifest that its repository does not hold: tags, indexes, grants. */
export async function checkHoldings(check: Check, manifests: Manifests): Promise<void> {
  for await (const { name: hex, records } of joinWithSpill(nothing(), check.holdings)) {
    const of = <K extends Holding['kind']>(kind: K) =>
      records.filter((record): record is Of<K> => record.kind === kind);
    const holders = new Set(of('manifest').map(({ repository }) => repository));
    const tags = new Set(of('tag').map(({ repository, tag }) => `${repository} ${tag}`));
    for (const { repository, tag, key } of of('grant')) {
      if (tag === undefined ? holders.has(repository) : tags.has(`${repository} ${tag}`)) continue;
      const what = tag === undefined ? `the manifest ${hex}` : `a tag ${tag} that names ${hex}`;
      await check.findings.add('stale-grant', key, `${repository} does not hold ${what}`);
    }
    const digest = digestOfHex(hex);
    const copyTo = (repository: RepositoryName) => ({
      action: 'copy the manifest from another repository, if one holds it',
      run: async () => {
        for (const holder of holders) {
          try {
            await manifests.copy(holder, repository, digest);
            return true;
          } catch {
            // Its blobs or children are missing there too.
          }
        }
        return false;
      },
    });
    for (const { repository, key } of of('dangling tag')) {
      if (await hasManifest(check, repository, digest)) continue;
      const object = await check.storage.read(key);
      if (!object || decodeTarget(decodeText(object.bytes))?.digest !== digest) continue;
      const detail = `${repository}:${tagOf(key)} names ${hex}: no manifest of ${repository}, no v1 image`;
      await check.findings.add('dangling-tag', key, detail, copyTo(repository));
    }
    for (const { repository, index } of of('missing child')) {
      if (await hasManifest(check, repository, digest)) continue;
      if (!(await hasManifest(check, repository, index))) continue;
      const key = layout.manifest(repository, index);
      await check.findings.add('missing-child', key, `${repository} does not hold ${digest}`, copyTo(repository));
    }
  }
}

async function* nothing(): AsyncGenerator<{ name: string }> {}
