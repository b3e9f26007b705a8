import { isJsonObject, type JsonObject, type JsonValue } from '../../model/json.ts';
import { type ManifestDocument, parseManifest } from '../../model/manifest.ts';
import type { Digest, RepositoryName } from '../../model/names.ts';
import { readConfig } from '../../registry/blobs/read-config.ts';
import type { Registry } from '../../registry/registry.ts';
import type { Bytes } from '../../streams/bytes.ts';

/** A manifest as its page shows it. `config` is absent where there is none, or it is no JSON object, or too large. */
export type ImageDetails = {
  digest: Digest;
  mediaType: string;
  bytes: Bytes;
  document: ManifestDocument;
  config?: JsonObject;
};

/** Parses a stored manifest, and reads its config. Two storage requests if it has one. */
export async function imageDetails(
  { blobs }: Pick<Registry, 'blobs'>,
  repository: RepositoryName,
  { digest, mediaType, bytes }: { digest: Digest; mediaType: string; bytes: Bytes },
): Promise<ImageDetails> {
  const document = parseManifest(bytes);
  const { config: described } = document;
  const link = described?.mediaType.endsWith('json') ? await blobs.find(repository, described.digest) : undefined;
  const config = link && (await readConfig(blobs, link));
  return { digest, mediaType, bytes, document, ...(config && { config }) };
}

/** A line of the build: a layer with the command that made it, or a command that made none. */
export type BuildStep = { command?: string; layer?: { number: number; digest: Digest; sizeBytes: number } };

/** Commands that some builds record; more than any page shows. */
const MAX_STEPS = 2000;

/**
 * The layers of an image with the commands of its history, base first. Where the history does not fit the layers, the layers
 * are shown without it.
 * @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties (`history`)
 */
export function buildSteps({ document: { layers }, config }: Pick<ImageDetails, 'document' | 'config'>): BuildStep[] {
  const numbered = layers.map(({ digest, sizeBytes }, index) => ({ number: index + 1, digest, sizeBytes }));
  const history = (Array.isArray(config?.history) ? config.history : []).filter(isJsonObject).slice(0, MAX_STEPS);
  const filled = history.filter(({ empty_layer: isEmpty }) => isEmpty !== true).length;
  if (filled !== layers.length) return numbered.map((layer) => ({ layer }));
  const rest = numbered.values();
  return history.map(({ empty_layer: isEmpty, created_by: by, comment }) => {
    const command = commandOf(textOf(by) ?? textOf(comment));
    const layer = isEmpty === true ? undefined : rest.next().value;
    return { ...(command !== undefined && { command }), ...(layer && { layer }) };
  });
}

/** A step without the shell that Docker's builder and BuildKit put around it. */
function commandOf(text: string | undefined): string | undefined {
  const command = text
    ?.replace(/^\/bin\/sh -c #\(nop\) +/, '')
    .replace(/^(?:RUN )?\/bin\/sh -c /, 'RUN ')
    .replace(/ # buildkit$/, '')
    .trim();
  return command === '' ? undefined : command;
}

/** What the config says about running the image. Only what has the type that the specification asks for. */
export type RunConfig = {
  entrypoint: string[];
  command: string[];
  environment: string[];
  ports: string[];
  volumes: string[];
  labels: [name: string, value: string][];
  user?: string;
  directory?: string;
  author?: string;
  createdAt?: Date;
  platform?: string;
};

/** @see https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md */
export function runConfig(config: JsonObject): RunConfig {
  const run = isJsonObject(config.config) ? config.config : {};
  const created = typeof config.created === 'string' ? new Date(config.created) : undefined;
  const parts = [config.os, config.architecture, config.variant].filter((part) => textOf(part) !== undefined);
  const [user, directory, author] = [textOf(run.User), textOf(run.WorkingDir), textOf(config.author)];
  return {
    entrypoint: textsOf(run.Entrypoint),
    command: textsOf(run.Cmd),
    environment: textsOf(run.Env),
    ports: namesOf(run.ExposedPorts),
    volumes: namesOf(run.Volumes),
    labels: entriesOf(run.Labels),
    ...(user !== undefined && { user }),
    ...(directory !== undefined && { directory }),
    ...(author !== undefined && { author }),
    ...(created && !Number.isNaN(created.getTime()) && { createdAt: created }),
    ...(parts.length >= 2 && { platform: parts.join('/') }),
  };
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function textsOf(value: JsonValue | undefined): string[] {
  const list = typeof value === 'string' ? [value] : Array.isArray(value) ? value : [];
  return list.filter((item) => typeof item === 'string');
}

function namesOf(value: JsonValue | undefined): string[] {
  return isJsonObject(value) ? Object.keys(value) : [];
}

function entriesOf(value: JsonValue | undefined): [string, string][] {
  if (!isJsonObject(value)) return [];
  return Object.entries(value).flatMap(([name, text]) => (typeof text === 'string' ? [[name, text]] : []));
}
