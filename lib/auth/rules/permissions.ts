import { rangeOfPattern, repositoryMatcher } from '../../model/name-pattern.ts';
import type { RepositoryName } from '../../model/names.ts';
import { type Action, ANONYMOUS, type Anonymous, type Caller, type Grant, type User } from '../callers/caller.ts';
import { ANY_CALLER, LOGGED_IN } from './rule-users.ts';

/** A line of `access`: callers for whom these actions are allowed, or denied, in these repositories. */
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

/** The caller whose rights decide which v1 images are readable: the holder of a v1 token, else the caller itself. */
function readerOf(caller: Caller): Caller {
  return caller.kind === 'token' && caller.holder ? caller.holder : caller;
}

/** The rules without `auth`. */
const OPEN: AccessRule[] = [{ ...ALL, users: [ANY_CALLER] }];
/** The rules with `auth` and without `access`. */
const FOR_USERS: AccessRule[] = [{ ...ALL, users: [LOGGED_IN] }];

/** `rule` is the number of the deciding rule, from 1; undefined if no rule matched, so that the answer is no. */
export type Decision = { isAllowed: boolean; rule?: number };

type CompiledRule = AccessRule & { matches: (repository: string) => boolean };

/**
 * Decides what a caller may do. The first rule that matches the caller, the repository and the action decides; if no rule
 * matches, the answer is no. For a token its grants decide instead of the rules.
 */
export class Permissions {
  readonly #rules: CompiledRule[];

  /** @param rules by default every caller with a login may do everything */
  constructor(rules: readonly AccessRule[] = FOR_USERS) {
    this.#rules = rules.map((rule) => {
      const matchers = rule.repositories.map(repositoryMatcher);
      return { ...rule, matches: (repository) => matchers.some((matches) => matches(repository)) };
    });
  }

  /** Every caller may do everything. */
  static forOpenRegistry(): Permissions {
    return new Permissions(OPEN);
  }

  may(caller: Caller, action: Action, repository: RepositoryName): boolean {
    if (caller.kind !== 'token') return this.decide(caller, action, repository).isAllowed;
    const isGranted = caller.grants.some((grant) => grant.actions.includes(action) && isIn(grant, repository));
    return isGranted && (!caller.holder || this.may(caller.holder, action, repository));
  }

  /**
   * Whether the caller may read the v1 images that this repository holds. v1 images have no repository, so a v1 token, which
   * is issued for one repository, reads what its holder may read; and every token reads what anonymous callers may read.
   */
  mayReadV1ImagesIn(caller: Caller, repository: RepositoryName): boolean {
    const reader = readerOf(caller);
    return this.may(reader, 'pull', repository) || (reader.kind === 'token' && this.may(ANONYMOUS, 'pull', repository));
  }

  /** Whether the caller may read v1 images of any repository. */
  mayReadSomeV1Image(caller: Caller): boolean {
    const reader = readerOf(caller);
    return this.maySomewhere(reader, 'pull') || (reader.kind === 'token' && this.maySomewhere(ANONYMOUS, 'pull'));
  }

  /** Whether the caller may read every v1 image, including those that no repository holds. */
  mayReadEveryV1Image(caller: Caller): boolean {
    return this.mayEverywhere(readerOf(caller), 'pull');
  }

  /** As `may`, with the rule that decides. */
  decide(caller: User | Anonymous, action: Action, repository: RepositoryName): Decision {
    const at = this.#rules.findIndex((rule) => isAbout(rule, caller, action) && rule.matches(repository));
    const rule = this.#rules[at];
    return rule ? { isAllowed: rule.effect === 'allows', rule: at + 1 } : { isAllowed: false };
  }

  /** Whether the caller may do this in some repository. It need not exist. */
  maySomewhere(caller: Caller, action: Action): boolean {
    if (caller.kind === 'token') {
      const isGranted = caller.grants.some(({ actions }) => actions.includes(action));
      return isGranted && (!caller.holder || this.maySomewhere(caller.holder, action));
    }
    return this.#rules.some((rule) => rule.effect === 'allows' && isAbout(rule, caller, action));
  }

  /** Whether the caller may do this in every repository. */
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

  /** Whether lists show the repository to the caller. */
  mayList(caller: Caller, repository: RepositoryName): boolean {
    return this.may(listerOf(caller), 'pull', repository);
  }

  /** Whether the namespace may contain a repository that lists show to the caller. */
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

  /** Whether anonymous callers may do something. The challenge then offers tokens, since these clients cannot use Basic. */
  get allowsAnonymous(): boolean {
    return this.#rules.some(({ effect, users }) => effect === 'allows' && users.includes(ANY_CALLER));
  }
}

function listerOf(caller: Caller): Caller {
  return caller.kind === 'token' && caller.lists ? caller.lists : caller;
}

function isAbout(rule: AccessRule, caller: User | Anonymous, action: Action): boolean {
  if (!rule.actions.includes(action)) return false;
  if (rule.users.includes(ANY_CALLER)) return true;
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
