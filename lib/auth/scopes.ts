import { parseRepositoryName, type RepositoryName } from '../model/names.ts';
import { ACTIONS, type Action } from './callers/caller.ts';

/** What a client requests a token for. */
export type RequestedScopes = {
  repositories: Map<RepositoryName, Set<Action>>;
  /** `registry:catalog:*` */
  catalog: boolean;
};

/** More than any client requests at once. */
const MAX_SCOPES = 100;

const REPOSITORY = /^repository(?:\([a-z0-9]+\))?:(.+):([a-z,*]+)$/;

/**
 * Parses scopes such as `repository:team/a:pull,push`. There may be several parameters, each with several scopes. A scope
 * that is not understood is ignored, so nothing is granted for it.
 * @see https://distribution.github.io/distribution/spec/auth/scope/
 */
export function parseScopes(parameters: readonly string[]): RequestedScopes {
  const requested: RequestedScopes = { repositories: new Map(), catalog: false };
  for (const scope of parameters.flatMap((text) => text.split(' ')).slice(0, MAX_SCOPES)) {
    if (scope === 'registry:catalog:*') requested.catalog = true;
    const [, name = '', actions = ''] = REPOSITORY.exec(scope) ?? [];
    const repository = nameOf(name);
    if (repository === undefined) continue;
    const wanted = requested.repositories.get(repository) ?? new Set();
    for (const word of actions.split(',')) {
      for (const action of ACTIONS) if (word === action || word === '*') wanted.add(action);
    }
    requested.repositories.set(repository, wanted);
  }
  return requested;
}

function nameOf(text: string): RepositoryName | undefined {
  try {
    return parseRepositoryName(text);
  } catch {
    return undefined;
  }
}
