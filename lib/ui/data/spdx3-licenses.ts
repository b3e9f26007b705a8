import { known, listOf, textOf } from './document-values.ts';
import type { Draft } from './sbom-packages.ts';

/** The URL of a licence in SPDX's own list. */
const LISTED = /^https?:\/\/spdx\.org\/licenses\/([^/]+)$/;

/** More are not kept, so that some packages have no licence on the page. */
const MAX_RELATIONS = 50_000;

/**
 * The licences of the packages of an SPDX 3 document, in which licences are elements of their own, and relations lead from packages
 * to them.
 * @see https://spdx.github.io/spdx-spec/v3.0.1/model/SimpleLicensing/SimpleLicensing/
 */
export class Spdx3Licenses {
  readonly #expressions = new Map<string, string>();
  readonly #declared = new Map<string, string>();
  readonly #concluded = new Map<string, string>();

  add({ type, spdxId, name, relationshipType, from, to, simplelicensing_licenseExpression: expression }: Draft): void {
    const text = typeof type === 'string' && type.endsWith('SimpleLicensingText') ? name : undefined;
    keep(this.#expressions, textOf(spdxId), textOf(expression ?? text));
    const [first] = listOf(to);
    if (relationshipType === 'hasDeclaredLicense') keep(this.#declared, textOf(from), textOf(first));
    if (relationshipType === 'hasConcludedLicense') keep(this.#concluded, textOf(from), textOf(first));
  }

  /** The concluded licence of a package, else the declared one. @param id of the package */
  of(id: string | undefined): string | undefined {
    const find = (relations: Map<string, string>) => {
      const license = relations.get(id ?? '') ?? '';
      return known(this.#expressions.get(license) ?? LISTED.exec(license)?.[1]);
    };
    return find(this.#concluded) ?? find(this.#declared);
  }
}

function keep(map: Map<string, string>, key: string | undefined, value: string | undefined): void {
  if (key !== undefined && value !== undefined && map.size < MAX_RELATIONS) map.set(key, value);
}
