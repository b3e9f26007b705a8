// Statements of in-toto, alone or in an envelope: `predicate` holds what they say about their subjects.
import { eitherOf, fieldsOf, JsonScanner, type Selection } from '../../model/json-scanner.ts';
import { recordOf, takeText, textOf } from './document-values.ts';
import { digestOf, isProvenance, type Provenance, ProvenanceReader } from './provenance.ts';
import { type PackagePage, type Sbom, SbomReader } from './sbom.ts';

export type Subject = { name: string; digest?: string };

/** What a document says. An SBOM may come without a statement. */
export type DocumentContent = {
  predicateType?: string;
  subjects: Subject[];
  sbom?: Sbom;
  provenance?: Provenance;
};

const MAX_SUBJECTS = 20;

/** Reads a document as it comes: an SBOM, a statement, or an envelope of one. Its formats show only at the end. */
export class DocumentReader {
  readonly #scanner: JsonScanner;
  readonly #sbom: SbomReader;
  readonly #provenance = new ProvenanceReader();
  readonly #subjects: Subject[] = [];
  #predicateType: string | undefined;
  #payload: Payload | undefined;

  constructor(page: PackagePage) {
    this.#sbom = new SbomReader(page);
    const predicate = eitherOf(this.#sbom.selection, this.#provenance.selection);
    const subject = recordOf(['name', 'digest'], ({ name, digest }) => {
      const text = digestOf(digest);
      if (this.#subjects.length === MAX_SUBJECTS) return;
      this.#subjects.push({ name: textOf(name) ?? '', ...(text !== undefined && { digest: text }) });
    });
    const statement = fieldsOf({
      predicateType: takeText((text) => {
        this.#predicateType = text;
      }),
      subject: { items: subject },
      predicate,
    });
    const payload = this.#inPayload(statement);
    const envelopes = fieldsOf({ payload, dsseEnvelope: fieldsOf({ payload }) });
    this.#scanner = new JsonScanner([this.#sbom.selection, statement, envelopes].reduce(eitherOf));
  }

  /** @throws InvalidJsonError, TooManyValuesError */
  write(bytes: Uint8Array): void {
    this.#scanner.write(bytes);
  }

  /** After the last byte. @throws InvalidJsonError, TooManyValuesError */
  end(): DocumentContent {
    this.#scanner.end();
    this.#payload?.end();
    const sbom = this.#sbom.result();
    const type = this.#predicateType;
    return {
      ...(type !== undefined && { predicateType: type }),
      subjects: this.#subjects,
      ...(sbom && { sbom }),
      ...(type !== undefined && isProvenance(type) && { provenance: this.#provenance.result() }),
    };
  }

  /** https://github.com/secure-systems-lab/dsse/blob/v1.0.2/envelope.md */
  #inPayload(statement: Selection): Selection {
    return {
      takeText: (bytes) => {
        this.#payload ??= new Payload(statement);
        this.#payload.write(bytes);
      },
    };
  }
}

/** JSON in the base64 of a string. Other content, such as that of another kind of document, is left alone. */
class Payload {
  readonly #scanner: JsonScanner;
  #rest = '';
  #isText: boolean | undefined;

  constructor(selection: Selection) {
    this.#scanner = new JsonScanner(selection);
  }

  write(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString('latin1');
    this.#isText ??= text.startsWith('"');
    if (!this.#isText) return;
    const characters = this.#rest + text.replaceAll(/["\\]/g, '');
    const whole = characters.length - (characters.length % 4);
    this.#rest = characters.slice(whole);
    this.#scanner.write(Buffer.from(characters.slice(0, whole), 'base64'));
  }

  end(): void {
    if (!this.#isText) return;
    this.#scanner.write(Buffer.from(this.#rest, 'base64'));
    this.#scanner.end();
  }
}
