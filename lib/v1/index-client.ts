// The separate index of a registry that is not standalone: it knows who may do what, the registry asks it.

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

  /** @param endpoint from the configuration: no other host is ever asked */
  constructor(endpoint: string) {
    this.#endpoint = endpoint;
  }

  /** The images of a repository, if the index accepts this `Authorization` for it. */
  async images(repository: RepositoryName, authorization: string): Promise<ImageId[] | undefined> {
    const list = await this.#get(repository, 'images', authorization);
    if (!Array.isArray(list)) return undefined;
    return list.flatMap((entry) => (isJsonObject(entry) && isImageId(entry.id) ? [entry.id] : []));
  }

  /** Whether this `Authorization` may read the image. */
  async mayRead(repository: RepositoryName, id: ImageId, authorization: string): Promise<boolean> {
    const answer = await this.#get(repository, `layer/${id}/access`, authorization);
    return isJsonObject(answer) && answer.access === true;
  }

  /** `undefined` for every kind of no: refused, unreachable, slow, not JSON. */
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
