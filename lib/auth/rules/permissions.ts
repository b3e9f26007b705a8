import type { RepositoryName } from '../../model/names.ts';
import { type Action, ANONYMOUS, type Anonymous, type Caller, type Grant, type User } from '../callers/caller.ts';
import { rangeOfPattern, repositoryMatcher } from './pattern.ts';

/** Everybody, whether logged in or not, and everybody who has logged in; beside names in `users`. */
export const EVERYBODY = 'anonymous';
export const LOGGED_IN = '*';

/** A rule of the configuration: who is allowed, or with `denies` not allowed, what in which repositories. */
export type AccessRule = {
  /** Patterns of `repositoryMatcher`. */
  repositories: string[];
  users: string[];
  groups: string[];
  effect: 'allows' | 'denies';
  actions: Action[];
};

const ALL: Omit<AccessRule, 'users'> = {
  repositories: ['*'],
  groups: [],
  effect: 'allows',
  actions: ['pull', 'push', 'delete'],
};

/** Whose rights count for v1 images. */
function readerOf(caller: Caller): Caller {
  return caller.kind === 'token' && caller.holder ? caller.holder : caller;
}

/** A registry without `auth`. */
const OPEN: AccessRule[] = [{ ...ALL, users: [EVERYBODY] }];
/** With `auth`, and no rules yet. */
const FOR_USERS: AccessRule[] = [{ ...ALL, users: [LOGGED_IN] }];

/** `rule` counts from 1, as in the configuration; undefined if none was about this, which means no. */
export type Decision = { isAllowed: boolean; rule?: number };

type CompiledRule = AccessRule & { matches: (repository: string) => boolean };

/**
 * Who may do what. Of the rules that name the caller, the repository and the action the first decides; if there is none,
 * the answer is no. A token allows what is in it, and rules are not asked.
 */
export class Permissions {
  readonly #rules: CompiledRule[];

  /** @param rules those of the configuration; without them whoever has logged in may do everything */
  constructor(rules: readonly AccessRule[] = FOR_USERS) {
    this.#rules = rules.map((rule) => {
      const matchers = rule.repositories.map(repositoryMatcher);
      return { ...rule, matches: (repository) => matchers.some((matches) => matches(repository)) };
    });
  }

  /** Where nobody is asked who they are. */
  static forOpenRegistry(): Permissions {
    return new Permissions(OPEN);
  }

  may(caller: Caller, action: Action, repository: RepositoryName): boolean {
    if (caller.kind !== 'token') return this.decide(caller, action, repository).isAllowed;
    const isGranted = caller.grants.some((grant) => grant.actions.includes(action) && isIn(grant, repository));
    return isGranted && (!caller.holder || this.may(caller.holder, action, repository));
  }

  /**
   * Whether the caller may read a v1 image because this repository holds it. Images have no repository, so a token that names
   * one reads what its holder may; and every token reads what a caller without a login may.
   */
  mayReadV1ImagesIn(caller: Caller, repository: RepositoryName): boolean {
    const reader = readerOf(caller);
    return this.may(reader, 'pull', repository) || (reader.kind === 'token' && this.may(ANONYMOUS, 'pull', repository));
  }

  /** Whether there may be a v1 image that the caller may read. */
  mayReadSomeV1Image(caller: Caller): boolean {
    const reader = readerOf(caller);
    return this.maySomewhere(reader, 'pull') || (reader.kind === 'token' && this.maySomewhere(ANONYMOUS, 'pull'));
  }

  /** Whether the caller may read every v1 image, those that no repository is known to hold too. */
  mayReadEveryV1Image(caller: Caller): boolean {
    return this.mayEverywhere(readerOf(caller), 'pull');
  }

  /** As `may`, with the rule that says so. */
  decide(caller: User | Anonymous, action: Action, repository: RepositoryName): Decision {
    const at = this.#rules.findIndex((rule) => isAbout(rule, caller, action) && rule.matches(repository));
    const rule = this.#rules[at];
    return rule ? { isAllowed: rule.effect === 'allows', rule: at + 1 } : { isAllowed: false };
  }

  /** Whether there may be a repository where the caller may do this. */
  maySomewhere(caller: Caller, action: Action): boolean {
    if (caller.kind === 'token') {
      const isGranted = caller.grants.some(({ actions }) => actions.includes(action));
      return isGranted && (!caller.holder || this.maySomewhere(caller.holder, action));
    }
    return this.#rules.some((rule) => rule.effect === 'allows' && isAbout(rule, caller, action));
  }

  /** Whether there is no repository where the caller may not do this. */
  mayEverywhere(caller: Caller, action: Action): boolean {
    if (caller.kind === 'token') {
      return caller.grants.some(
        (grant) => 'pattern' in grant && grant.pattern === '*' && grant.actions.includes(action),
      );
    }
    for (const rule of this.#rules) {
      if (!isAbout(rule, caller, action)) continue;
      if (rule.effect === 'denies') return false;
      if (rule.repositories.includes('*')) return true;
    }
    return false;
  }

  /** Whether the caller may see the repository in a list. */
  mayList(caller: Caller, repository: RepositoryName): boolean {
    return this.may(listerOf(caller), 'pull', repository);
  }

  /** Whether there may be a repository in the namespace that the caller may see in a list. */
  mayListIn(caller: Caller, namespace: string): boolean {
    return this.#mayPullIn(listerOf(caller), namespace);
  }

  #mayPullIn(caller: Caller, namespace: string): boolean {
    if (caller.kind === 'token') {
      const isGranted = caller.grants.some(
        (grant) =>
          grant.actions.includes('pull') &&
          rangeOfPattern('repository' in grant ? grant.repository : grant.pattern, namespace) !== 'none',
      );
      return isGranted && (!caller.holder || this.#mayPullIn(caller.holder, namespace));
    }
    for (const rule of this.#rules) {
      if (!isAbout(rule, caller, 'pull')) continue;
      const ranges = rule.repositories.map((pattern) => rangeOfPattern(pattern, namespace));
      if (rule.effect === 'denies' && ranges.includes('all')) return false;
      if (rule.effect === 'allows' && ranges.some((range) => range !== 'none')) return true;
    }
    return false;
  }

  /** Whether anybody gets anything without logging in: then clients are offered tokens, which those get too. */
  get allowsAnonymous(): boolean {
    return this.#rules.some(({ effect, users }) => effect === 'allows' && users.includes(EVERYBODY));
  }
}

function listerOf(caller: Caller): Caller {
  return caller.kind === 'token' && caller.lists ? caller.lists : caller;
}

function isAbout(rule: AccessRule, caller: User | Anonymous, action: Action): boolean {
  if (!rule.actions.includes(action)) return false;
  if (rule.users.includes(EVERYBODY)) return true;
  if (caller.kind === 'anonymous') return false;
  return (
    rule.users.includes(LOGGED_IN) ||
    rule.users.includes(caller.name) ||
    rule.groups.some((group) => caller.groups.includes(group))
  );
}

function isIn(grant: Grant, repository: RepositoryName): boolean {
  return 'repository' in grant ? grant.repository === repository : repositoryMatcher(grant.pattern)(repository);
}
