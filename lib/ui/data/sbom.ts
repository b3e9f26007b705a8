import type { JsonValue } from '../../model/json.ts';
import { eitherOf, fieldsOf, type Selection } from '../../model/json-scanner.ts';
import { recordOf, takeText, textOf } from './document-values.ts';
import {
  CYCLONEDX_FIELDS,
  cycloneDxPackage,
  type Draft,
  type SbomPackage,
  SPDX2_FIELDS,
  SYFT_FIELDS,
  spdx2Package,
  spdx3Package,
  syftPackage,
} from './sbom-packages.ts';
import { Spdx3Licenses } from './spdx3-licenses.ts';

export type Sbom = {
  /** `SPDX 2.3`, `CycloneDX 1.6`, `Syft 16.0.7` */
  format: string;
  /** What it is about, in its own words. */
  name?: string;
  createdAt?: string;
  tools: string[];
  /** Those of the page that was asked for. */
  packages: SbomPackage[];
  /** Packages that match the filter, and all packages. */
  matchCount: number;
  packageCount: number;
};

/** Which packages are wanted. @property filter a part of any of their texts */
export type PackagePage = { filter: string; from: number; size: number };

const MAX_TOOLS = 10;

/**
 * Collects the packages of one page, in the order of the document, and counts the others: the memory does not grow with the
 * document, except for the licences of SPDX 3.
 */
export class SbomReader {
  readonly selection: Selection;
  readonly #page: PackagePage;
  readonly #filter: string;
  readonly #packages: SbomPackage[] = [];
  readonly #tools = new Set<string>();
  readonly #spdx3 = new Spdx3Licenses();
  #spdx: string | undefined;
  #isCycloneDx = false;
  #cycloneDxVersion = '';
  #isSpdx3 = false;
  #syft: string | undefined;
  #name: string | undefined;
  #createdAt: string | undefined;
  #matchCount = 0;
  #packageCount = 0;

  constructor(page: PackagePage) {
    this.#page = page;
    this.#filter = page.filter.toLowerCase();
    this.selection = [this.#inSpdx2(), this.#inCycloneDx(), this.#inSyft(), this.#inSpdx3()].reduce(eitherOf);
  }

  /** `undefined` if the document is in none of the formats. */
  result(): Sbom | undefined {
    const cycloneDx = this.#isCycloneDx ? `CycloneDX ${this.#cycloneDxVersion}` : undefined;
    const format = this.#spdx ?? cycloneDx ?? (this.#isSpdx3 ? 'SPDX 3' : this.#syft);
    if (format === undefined) return undefined;
    return {
      format,
      ...(this.#name !== undefined && { name: this.#name }),
      ...(this.#createdAt !== undefined && { createdAt: this.#createdAt }),
      tools: [...this.#tools],
      packages: this.#packages.map((found) => this.#withLicenses(found)),
      matchCount: this.#matchCount,
      packageCount: this.#packageCount,
    };
  }

  #withLicenses(found: SbomPackage): SbomPackage {
    const licenses = found.licenses ?? this.#spdx3.of(found.id);
    return { ...found, ...(licenses !== undefined && { licenses }) };
  }

  #add(found: SbomPackage): void {
    this.#packageCount++;
    if (!this.#isWanted(found)) return;
    this.#matchCount++;
    const { from, size } = this.#page;
    if (this.#matchCount > from && this.#packages.length < size) this.#packages.push(found);
  }

  #isWanted({ name, version, type, purl, licenses }: SbomPackage): boolean {
    return (
      this.#filter === '' ||
      [name, version, type, purl, licenses].some((text) => text?.toLowerCase().includes(this.#filter))
    );
  }

  #addTool(...parts: (JsonValue | undefined)[]): void {
    const tool = parts.flatMap((part) => textOf(part) ?? []).join(' ');
    if (tool !== '' && this.#tools.size < MAX_TOOLS) this.#tools.add(tool);
  }

  #setName = (text: string): void => {
    this.#name ??= text;
  };

  #setCreatedAt = (text: string): void => {
    this.#createdAt ??= text;
  };

  #inSpdx2(): Selection {
    return fieldsOf({
      spdxVersion: takeText((text) => {
        this.#spdx = text.replace('-', ' ');
      }),
      name: takeText(this.#setName),
      creationInfo: fieldsOf({
        created: takeText(this.#setCreatedAt),
        creators: { items: takeText((text) => text.startsWith('Tool: ') && this.#addTool(text.slice(6))) },
      }),
      packages: { items: recordOf(SPDX2_FIELDS, (draft) => this.#add(spdx2Package(draft))) },
    });
  }

  #inCycloneDx(): Selection {
    const component = recordOf(CYCLONEDX_FIELDS, (draft) => this.#add(cycloneDxPackage(draft)));
    const components = { items: component };
    component.fields.set('components', components); // they nest
    const tools = { items: recordOf(['name', 'version'], ({ name, version }) => this.#addTool(name, version)) };
    return fieldsOf({
      bomFormat: takeText((text) => {
        this.#isCycloneDx = text === 'CycloneDX';
      }),
      specVersion: takeText((text) => {
        this.#cycloneDxVersion = text;
      }),
      metadata: fieldsOf({
        timestamp: takeText(this.#setCreatedAt),
        component: fieldsOf({ name: takeText(this.#setName) }),
        tools: { ...tools, ...fieldsOf({ components: tools, services: tools }) }, // a list up to 1.4
      }),
      components,
    });
  }

  #inSyft(): Selection {
    return fieldsOf({
      schema: fieldsOf({
        version: takeText((text) => {
          this.#syft = `Syft ${text}`;
        }),
      }),
      descriptor: recordOf(['name', 'version'], ({ name, version }) => this.#addTool(name, version)),
      source: fieldsOf({ name: takeText(this.#setName) }),
      artifacts: { items: recordOf(SYFT_FIELDS, (draft) => this.#add(syftPackage(draft))) },
    });
  }

  #inSpdx3(): Selection {
    const names = [
      'type',
      'spdxId',
      'name',
      'created',
      'software_packageVersion',
      'software_packageUrl',
      'software_primaryPurpose',
      'externalIdentifier',
      'simplelicensing_licenseExpression',
      'relationshipType',
      'from',
      'to',
    ];
    return fieldsOf({ '@graph': { items: recordOf(names, (element) => this.#addElement(element)) } });
  }

  #addElement(element: Draft): void {
    const [name, created] = [textOf(element.name), textOf(element.created)];
    switch (element.type) {
      case 'SpdxDocument':
        this.#isSpdx3 = true;
        if (name !== undefined) this.#setName(name);
        break;
      case 'CreationInfo':
        if (created !== undefined) this.#setCreatedAt(created);
        break;
      case 'Tool':
        this.#addTool(name);
        break;
      case 'software_Package':
        this.#add(spdx3Package(element));
        break;
      default:
        this.#spdx3.add(element);
    }
  }
}
