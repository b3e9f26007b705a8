// SLSA provenance: which builder made an image, from which sources.
import { isJsonObject, type JsonValue } from '../../model/json.ts';
import { fieldsOf, type Selection } from '../../model/json-scanner.ts';
import { recordOf, takeText, textOf } from './document-values.ts';

export type Provenance = {
  builder?: string;
  buildType?: string;
  /** Repository or directory that the builder was told to build. */
  source?: string;
  commit?: string;
  /** The file or workflow that defines the build. */
  entryPoint?: string;
  invocation?: string;
  startedAt?: string;
  finishedAt?: string;
  platform?: string;
  /** What went into the build, as far as it is shown; `materialCount` counts all. */
  materials: Material[];
  materialCount: number;
};

export type Material = { uri: string; digest?: string };

type FactName = Exclude<keyof Provenance, 'materials' | 'materialCount'>;

const PREDICATE_TYPES: readonly string[] = [
  'https://slsa.dev/provenance/v0.2',
  'https://slsa.dev/provenance/v1',
  'https://slsa.dev/provenance/v1.0',
];

/** As BuildKit named its extension first. https://github.com/moby/buildkit/blob/v0.17.0/docs/attestations/slsa-definitions.md */
const BUILDKIT_METADATA = 'https://mobyproject.org/buildkit@v1#metadata';

/** More would be no help on a page. */
const MAX_MATERIALS = 200;

export function isProvenance(predicateType: string): boolean {
  return PREDICATE_TYPES.includes(predicateType);
}

/**
 * Collects the facts of a provenance predicate.
 * @see https://slsa.dev/spec/v0.2/provenance
 * @see https://slsa.dev/spec/v1.1/provenance
 */
export class ProvenanceReader {
  readonly selection: Selection;
  readonly #facts: Partial<Record<FactName, string>> = {};
  readonly #materials: Material[] = [];
  #materialCount = 0;
  /** What the client of BuildKit says about its directory, which the builder has not checked. */
  readonly #claimed: { source?: string; commit?: string } = {};
  /** The file whose steps BuildKit has run, which it names here alone if it has the usual name. */
  #builtFile: string | undefined;

  constructor() {
    this.selection = fieldsOf({ ...this.#inVersion02(), ...this.#inVersion1() });
  }

  result(): Provenance {
    const { source } = this.#facts;
    const commit = this.#facts.commit ?? (source === undefined ? undefined : this.#commitOf(source));
    return {
      ...(this.#builtFile !== undefined && { entryPoint: this.#builtFile }),
      ...(source === undefined && this.#claimed),
      ...this.#facts,
      ...(commit !== undefined && { commit }),
      materials: this.#materials,
      materialCount: this.#materialCount,
    };
  }

  /** Workflows of GitHub name the commit of their repository among the dependencies. */
  #commitOf(source: string): string | undefined {
    const material = this.#materials.find(
      ({ uri, digest }) => digest !== undefined && uri.startsWith(`git+${source}@`),
    );
    return material?.digest && digitsOf(material.digest);
  }

  #fact(name: FactName): Selection {
    return takeText((text) => {
      this.#facts[name] ??= text;
    });
  }

  #inVersion02(): Record<string, Selection> {
    return {
      builder: fieldsOf({ id: this.#fact('builder') }),
      buildType: this.#fact('buildType'),
      invocation: fieldsOf({
        configSource: this.#configSource(),
        environment: fieldsOf({ platform: this.#fact('platform') }),
      }),
      metadata: fieldsOf(this.#metadata()),
      materials: this.#inputs(),
    };
  }

  #inVersion1(): Record<string, Selection> {
    return {
      buildDefinition: fieldsOf({
        buildType: this.#fact('buildType'),
        externalParameters: fieldsOf({
          configSource: this.#configSource(), // of BuildKit
          // Of workflows. https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1
          workflow: fieldsOf({ repository: this.#fact('source'), path: this.#fact('entryPoint') }),
          source: { ...this.#fact('source'), ...this.#configSource() },
          entryPoint: this.#fact('entryPoint'),
        }),
        internalParameters: fieldsOf({ builderPlatform: this.#fact('platform') }),
        resolvedDependencies: this.#inputs(),
      }),
      runDetails: fieldsOf({
        builder: fieldsOf({ id: this.#fact('builder') }),
        metadata: fieldsOf(this.#metadata()),
      }),
    };
  }

  #configSource(): Selection {
    return fieldsOf({
      uri: this.#fact('source'),
      digest: {
        take: (value) => {
          const digest = digestOf(value);
          if (digest !== undefined) this.#facts.commit ??= digitsOf(digest);
        },
      },
      entryPoint: this.#fact('entryPoint'),
      path: this.#fact('entryPoint'),
    });
  }

  #metadata(): Record<string, Selection> {
    const buildKit = fieldsOf({
      vcs: recordOf(['source', 'revision'], (vcs) => {
        const [source, commit] = [textOf(vcs.source), textOf(vcs.revision)];
        if (source !== undefined) this.#claimed.source ??= source;
        if (commit !== undefined) this.#claimed.commit ??= commit;
      }),
      source: fieldsOf({
        infos: {
          items: recordOf(['filename'], ({ filename }) => {
            this.#builtFile ??= textOf(filename);
          }),
        },
      }),
    });
    return {
      buildInvocationId: this.#fact('invocation'),
      buildInvocationID: this.#fact('invocation'),
      buildStartedOn: this.#fact('startedAt'),
      buildFinishedOn: this.#fact('finishedAt'),
      invocationId: this.#fact('invocation'),
      invocationID: this.#fact('invocation'),
      startedOn: this.#fact('startedAt'),
      finishedOn: this.#fact('finishedAt'),
      [BUILDKIT_METADATA]: buildKit,
      buildkit_metadata: buildKit,
    };
  }

  #inputs(): Selection {
    return {
      items: recordOf(['uri', 'name', 'digest'], ({ uri, name, digest }) => {
        this.#materialCount++;
        if (this.#materials.length === MAX_MATERIALS) return;
        const text = digestOf(digest);
        this.#materials.push({ uri: textOf(uri) ?? textOf(name) ?? '', ...(text !== undefined && { digest: text }) });
      }),
    };
  }
}

/** The digits of `sha1:4b22…`. */
function digitsOf(digest: string): string {
  return digest.slice(digest.indexOf(':') + 1);
}

/** The first one of a set of digests: `{"sha1": "4b22…"}`. https://github.com/in-toto/attestation/blob/main/spec/v1/digest_set.md */
export function digestOf(value: JsonValue | undefined): string | undefined {
  if (!isJsonObject(value)) return undefined;
  const [first] = Object.entries(value);
  const hex = textOf(first?.[1]);
  return first && hex !== undefined ? `${first[0].slice(0, 40)}:${hex}` : undefined;
}
