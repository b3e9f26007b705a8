import { quotePlus, unquotePlus } from './python.ts';

export type DockerRegistryVersion = '0.6.5' | '0.9.1';

/**
 * The keys of docker-registry below `storage_path`. The repository's part is quoted in its URL; since 0.8.1 each part of a key
 * is quoted once more, so the repository's part is quoted twice.
 */
export class Keys {
  readonly #quotesParts: boolean;

  constructor(version: DockerRegistryVersion) {
    this.#quotesParts = version !== '0.6.5';
  }

  image(id: string, object: string): string {
    return `images/${id}/${object}`;
  }

  /** The key of an object of a repository, or of its folder. @param name as in URLs: `ubuntu`, `library/ubuntu` or `a/b/c` */
  repository(name: string, object = ''): string {
    const slash = name.indexOf('/');
    const namespace = slash < 0 ? 'library' : name.slice(0, slash);
    return `repositories/${this.#part(namespace)}/${this.#part(quotePlus(name.slice(slash + 1)))}/${object}`;
  }

  tag(name: string, tag: string): string {
    return this.repository(name, `tag_${this.#part(tag)}`);
  }

  tagJson(name: string, tag: string): string {
    return this.repository(name, `tag${this.#part(tag)}_json`);
  }

  /** The inverse of `repository`; `undefined` if the key is not in the folder of a repository. */
  repositoryOf(key: string): string | undefined {
    const [top, namespace, repository, ...rest] = key.split('/');
    if (top !== 'repositories' || !namespace || !repository || rest.length === 0) return undefined;
    return `${this.#unpart(namespace)}/${unquotePlus(this.#unpart(repository))}`;
  }

  /** The inverse of `tag`. */
  tagOf(key: string): string | undefined {
    const object = key.slice(key.lastIndexOf('/') + 1);
    return object.startsWith('tag_') ? this.#unpart(object.slice('tag_'.length)) : undefined;
  }

  #part(text: string): string {
    return this.#quotesParts ? quotePlus(text) : text;
  }

  #unpart(text: string): string {
    return this.#quotesParts ? unquotePlus(text) : text;
  }
}
