// A package of a software bill of materials, from the fields that each format has for it.
import { isJsonObject, type JsonValue } from '../../model/json.ts';
import { known, listOf, textOf } from './document-values.ts';

/** As a table shows it. Absent what the document does not say. `id` is that of SPDX 3. */
export type SbomPackage = {
  name: string;
  version?: string;
  type?: string;
  purl?: string;
  licenses?: string;
  id?: string;
};

/** The fields of an object that were selected. */
export type Draft = Record<string, JsonValue | undefined>;

export const SPDX2_FIELDS = [
  'name',
  'versionInfo',
  'licenseConcluded',
  'licenseDeclared',
  'externalRefs',
  'primaryPackagePurpose',
] as const;

/** https://spdx.github.io/spdx-spec/v2.3/package-information/ */
export function spdx2Package(draft: Draft): SbomPackage {
  const purl = listOf(draft.externalRefs).find((ref) => isJsonObject(ref) && ref.referenceType === 'purl');
  return packageOf({
    name: draft.name,
    version: draft.versionInfo,
    type: draft.primaryPackagePurpose,
    purl: isJsonObject(purl) ? purl.referenceLocator : undefined,
    licenses: known(textOf(draft.licenseConcluded)) ?? known(textOf(draft.licenseDeclared)),
  });
}

export const CYCLONEDX_FIELDS = ['type', 'group', 'name', 'version', 'purl', 'licenses'] as const;

/** https://cyclonedx.org/docs/1.6/json/#components */
export function cycloneDxPackage({ group, name, version, type, purl, licenses }: Draft): SbomPackage {
  const texts = listOf(licenses).flatMap((choice) => {
    if (!isJsonObject(choice)) return [];
    const license = isJsonObject(choice.license) ? choice.license : {};
    return textOf(choice.expression) ?? textOf(license.id) ?? textOf(license.name) ?? [];
  });
  const names = [textOf(group), textOf(name)].filter((text) => text !== undefined);
  return packageOf({ name: names.join('/'), version, type, purl, licenses: texts.join(', ') });
}

export const SYFT_FIELDS = ['name', 'version', 'type', 'purl', 'licenses'] as const;

/** https://github.com/anchore/syft/tree/main/schema/json */
export function syftPackage({ name, version, type, purl, licenses }: Draft): SbomPackage {
  const texts = listOf(licenses).flatMap((license) =>
    isJsonObject(license) ? (textOf(license.spdxExpression) ?? textOf(license.value) ?? []) : (textOf(license) ?? []),
  );
  return packageOf({ name, version, type, purl, licenses: texts.join(', ') });
}

/** https://spdx.github.io/spdx-spec/v3.0.1/model/Software/Classes/Package/ */
export function spdx3Package(element: Draft): SbomPackage {
  const external = listOf(element.externalIdentifier).find(
    (identifier) => isJsonObject(identifier) && identifier.externalIdentifierType === 'packageUrl',
  );
  const id = textOf(element.spdxId);
  return {
    ...packageOf({
      name: element.name,
      version: element.software_packageVersion,
      type: element.software_primaryPurpose,
      purl: element.software_packageUrl ?? (isJsonObject(external) ? external.identifier : undefined),
      licenses: undefined,
    }),
    ...(id !== undefined && { id }),
  };
}

/** The type is that of the purl if there is one: `deb` of `pkg:deb/debian/bash@5`. */
function packageOf(
  fields: Record<'name' | 'version' | 'type' | 'purl' | 'licenses', JsonValue | undefined>,
): SbomPackage {
  const [version, purl, licenses] = [fields.version, fields.purl, fields.licenses].map(textOf);
  const type = /^pkg:([^/]+)\//.exec(purl ?? '')?.[1] ?? textOf(fields.type);
  return {
    name: textOf(fields.name) ?? '',
    ...(version !== undefined && { version }),
    ...(type !== undefined && { type }),
    ...(purl !== undefined && { purl }),
    ...(licenses !== undefined && { licenses }),
  };
}
