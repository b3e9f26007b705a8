// Client of a separate v1 index. A registry that is not standalone asks the index what a token allows.

import { isJsonObject, type JsonValue, parseJson } from '../model/json.ts';
import {
  type ImageId,
  isImageId,
  namespaceOf,
  quotePlus,
  type RepositoryName,
  repositoryPartOf,
} from '../model/names.ts';
import { MiB, readAtMost } from '../streams/bytes.ts';

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 16 * MiB;

export class IndexClient {
  readonly #endpoint: string;

  /** @param endpoint base URL from the configuration. Requests go to no other host: redirects are errors. */
  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  /** The ids of the repository's images; `undefined` if the index refuses this `Authorization`. */
  async images(repository: RepositoryName, authorization: string): Promise<ImageId[] | undefined> {
    const list = await this.#get(repository, 'images', authorization);
    if (!Array.isArray(list)) return undefined;
    return list.flatMap((entry) => (isJsonObject(entry) && isImageId(entry.id) ? [entry.id] : []));
  }

  /** Whether the index lets this `Authorization` read the image. */
  async mayRead(repository: RepositoryName, id: ImageId, authorization: string): Promise<boolean> {
    const answer = await this.#get(repository, `layer/${id}/access`, authorization);
    return isJsonObject(answer) && answer.access === true;
  }

  /** `undefined` if the index refuses, cannot be reached within ten seconds, or does not answer with JSON. */
  async #get(repository: RepositoryName, path: string, authorization: string): Promise<JsonValue | undefined> {
    const name = `${quotePlus(namespaceOf(repository))}/${quotePlus(repositoryPartOf(repository))}`;
    try {
      const response = await fetch(`${this.#endpoint}/v1/repositories/${name}/${path}`, {
        headers: { Authorization: authorization },
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      if (response.status !== 200 || !response.body) return undefined;
      return parseJson(await readAtMost(response.body, MAX_ANSWER_BYTES, "the index's answer"));
    } catch {
      return undefined;
    }
  }
}
