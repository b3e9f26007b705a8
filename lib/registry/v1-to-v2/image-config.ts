// The config of a conversion, made from the JSON documents of a v1 image and its ancestors. Clients pin digests, so every
// version of Stowage must make the same bytes from the same image.

import { canonicalJson } from '../../model/canonical-json.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../model/json.ts';
import type { Digest } from '../../model/names.ts';

/** One image of the ancestry: its JSON, and the diff id of its layer unless that is empty. */
export type ChainLink = { json: JsonObject; diffId?: Digest };

/** Fields that a v1 JSON and a v2 config have in common. */
const KEPT_FIELDS = ['author', 'comment', 'config', 'container', 'container_config', 'docker_version', 'variant'];

/** The times that Go parses. It rejects a whole config for one time that it cannot parse. */
export const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/;

/**
 * @param chain base first
 * @returns canonical JSON
 * @see https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
 */
export function imageConfig(chain: readonly ChainLink[]): string {
  const top = chain.at(-1)?.json ?? {};
  return canonicalJson({
    ...Object.fromEntries(KEPT_FIELDS.flatMap((name) => (top[name] == null ? [] : [[name, top[name]]]))),
    ...createdOf(top),
    architecture: textOf(top.architecture) ?? 'amd64',
    os: textOf(top.os) ?? 'linux',
    history: chain.map(historyOf),
    rootfs: { type: 'layers', diff_ids: chain.flatMap(({ diffId }) => diffId ?? []) },
  });
}

function historyOf({ json, diffId }: ChainLink): JsonObject {
  const command = isJsonObject(json.container_config) ? json.container_config.Cmd : undefined;
  const author = textOf(json.author);
  const comment = textOf(json.comment);
  return {
    ...createdOf(json),
    ...(Array.isArray(command) && { created_by: command.filter((word) => typeof word === 'string').join(' ') }),
    ...(author !== undefined && { author }),
    ...(comment !== undefined && { comment }),
    ...(diffId === undefined && { empty_layer: true }),
  };
}

function createdOf({ created }: JsonObject): JsonObject {
  return typeof created === 'string' && RFC_3339.test(created) ? { created } : {};
}

function textOf(value: JsonValue | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
