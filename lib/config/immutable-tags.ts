import { matcherOf, repositoryMatcher } from '../model/name-pattern.ts';
import { list, NotAllowedError, type ValueType } from './value-types.ts';

/** Patterns of immutable tags: `team/*:v*`. */
export type ImmutableTags = { repositories: string; tags: string }[];

/** A list of `<repositories>:<tags>`, each a pattern. */
export const immutableTags: ValueType<ImmutableTags> = {
  allowed: "a list of <repositories>:<tags>, such as 'team/*:v*' or '*:*'",
  parse(node) {
    const texts = list.parse(node);
    if (!texts) return texts;
    return texts.map((text) => {
      const [, repositories, tags] = /^([^:]+):([^:]+)$/.exec(text) ?? [];
      if (!repositories || !tags)
        throw new NotAllowedError(`${JSON.stringify(text)} is not of the form <repositories>:<tags>`);
      return { repositories, tags };
    });
  },
  format: (patterns) => patterns.map(({ repositories, tags }) => `${repositories}:${tags}`),
};

/** Makes a predicate: whether a tag is immutable; without a tag, whether the repository may have an immutable one. */
export function immutabilityOf(patterns: ImmutableTags): (repository: string, tag?: string) => boolean {
  const matchers = patterns.map(({ repositories, tags }) => ({
    isIn: repositoryMatcher(repositories),
    isOne: matcherOf(tags),
  }));
  return (repository, tag) => matchers.some(({ isIn, isOne }) => isIn(repository) && (tag === undefined || isOne(tag)));
}
