import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { ACTIONS, type Action, ANONYMOUS, type Caller, type User } from '../../../lib/auth/callers/caller.ts';
import { type AccessRule, Permissions } from '../../../lib/auth/rules/permissions.ts';
import { matcherOf, rangeOfPattern, repositoryMatcher } from '../../../lib/model/name-pattern.ts';
import type { RepositoryName } from '../../../lib/model/names.ts';

const alice: User = { kind: 'user', name: 'alice', groups: ['devs'] };
const bob: User = { kind: 'user', name: 'bob', groups: [] };

function rule(repositories: string, who: string, ...actions: Action[]): AccessRule {
  const isGroup = who.startsWith('@');
  return {
    repositories: [repositories],
    users: isGroup ? [] : [who],
    groups: isGroup ? [who.slice(1)] : [],
    effect: 'allows',
    actions,
  };
}

const deny = (...args: Parameters<typeof rule>): AccessRule => ({ ...rule(...args), effect: 'denies' });

type Row = { title: string; rules: AccessRule[] | undefined; caller: Caller; repository: string; allowed: Action[] };

const TABLE: Row[] = [
  {
    title: 'without rules a user may do everything',
    rules: undefined,
    caller: bob,
    repository: 'a/b',
    allowed: ['pull', 'push', 'delete'],
  },
  {
    title: 'without rules an anonymous caller may do nothing',
    rules: undefined,
    caller: ANONYMOUS,
    repository: 'a/b',
    allowed: [],
  },
  { title: 'an empty list of rules allows nothing', rules: [], caller: alice, repository: 'a/b', allowed: [] },
  {
    title: 'a rule for a user',
    rules: [rule('a/*', 'alice', 'pull')],
    caller: alice,
    repository: 'a/b',
    allowed: ['pull'],
  },
  {
    title: 'a rule for a user does not match another user',
    rules: [rule('a/*', 'alice', 'pull')],
    caller: bob,
    repository: 'a/b',
    allowed: [],
  },
  {
    title: 'a rule does not match another repository',
    rules: [rule('a/*', 'alice', 'pull')],
    caller: alice,
    repository: 'ab/c',
    allowed: [],
  },
  {
    title: 'a rule for a group',
    rules: [rule('a/*', '@devs', 'push')],
    caller: alice,
    repository: 'a/b/c',
    allowed: ['push'],
  },
  {
    title: 'a rule for a group does not match other users',
    rules: [rule('a/*', '@devs', 'push')],
    caller: bob,
    repository: 'a/b',
    allowed: [],
  },
  {
    title: 'a group is not a user of that name',
    rules: [rule('*', 'devs', 'pull')],
    caller: alice,
    repository: 'a/b',
    allowed: [],
  },
  {
    title: '* matches every user',
    rules: [rule('*', '*', 'pull')],
    caller: bob,
    repository: 'a/b',
    allowed: ['pull'],
  },
  {
    title: '* does not match an anonymous caller',
    rules: [rule('*', '*', 'pull')],
    caller: ANONYMOUS,
    repository: 'a/b',
    allowed: [],
  },
  {
    title: 'anonymous matches an anonymous caller',
    rules: [rule('*', 'anonymous', 'pull')],
    caller: ANONYMOUS,
    repository: 'a/b',
    allowed: ['pull'],
  },
  {
    title: 'anonymous matches a user',
    rules: [rule('*', 'anonymous', 'pull')],
    caller: bob,
    repository: 'a/b',
    allowed: ['pull'],
  },
  {
    title: 'rules that allow add up, in any order',
    rules: [rule('*', 'anonymous', 'pull'), rule('a/*', 'alice', 'push')],
    caller: alice,
    repository: 'a/b',
    allowed: ['pull', 'push'],
  },
  {
    title: 'a rule that denies takes precedence over the rules after it',
    rules: [deny('a/secret', 'anonymous', 'pull', 'push'), rule('a/*', '*', 'pull', 'push', 'delete')],
    caller: alice,
    repository: 'a/secret',
    allowed: ['delete'],
  },
  {
    title: 'a rule that denies does not affect the rules before it',
    rules: [rule('a/secret', 'alice', 'pull'), deny('a/secret', 'anonymous', 'pull'), rule('*', '*', 'pull')],
    caller: alice,
    repository: 'a/secret',
    allowed: ['pull'],
  },
  {
    title: 'a pattern without a namespace matches in library',
    rules: [rule('app', '*', 'pull')],
    caller: bob,
    repository: 'library/app',
    allowed: ['pull'],
  },
  {
    title: 'a pattern without a namespace does not match in another namespace',
    rules: [rule('app', '*', 'pull')],
    caller: bob,
    repository: 'x/app',
    allowed: [],
  },
  {
    title: 'app* matches in library',
    rules: [rule('app*', '*', 'pull')],
    caller: bob,
    repository: 'apps/x',
    allowed: [],
  },
  {
    title: 'a token allows what it grants, although no rule does',
    rules: [rule('*', '*', 'pull', 'push', 'delete')],
    caller: { kind: 'token', subject: 'alice', grants: [{ repository: 'a/b', actions: ['pull'] }] },
    repository: 'a/b',
    allowed: ['pull'],
  },
  {
    title: 'a token allows nothing in another repository',
    rules: [rule('*', 'anonymous', 'pull')],
    caller: { kind: 'token', subject: 'alice', grants: [{ repository: 'a/b', actions: ['pull'] }] },
    repository: 'a/c',
    allowed: [],
  },
  {
    title: 'a star in the repository of a grant is not a pattern',
    rules: [],
    caller: { kind: 'token', subject: 'alice', grants: [{ repository: 'a/*', actions: ['pull'] }] },
    repository: 'a/c',
    allowed: [],
  },
  {
    title: 'a token may grant by a pattern',
    rules: [],
    caller: { kind: 'token', subject: 'robot:ci', grants: [{ pattern: 'a/*', actions: ['push'] }] },
    repository: 'a/c',
    allowed: ['push'],
  },
];

describe('permissions', () => {
  for (const { title, rules, caller, repository, allowed } of TABLE) {
    it(title, () => {
      const permissions = new Permissions(rules);
      const actual = ACTIONS.filter((action) => permissions.may(caller, action, repository as RepositoryName));
      assert.deepEqual(actual, allowed);
      for (const action of allowed) assert.ok(permissions.maySomewhere(caller, action));
    });
  }

  it('name the rule that decides, counted from 1', () => {
    const permissions = new Permissions([rule('a/*', 'alice', 'pull'), deny('*', 'anonymous', 'pull')]);
    const repository = (name: string) => name as RepositoryName;
    assert.deepEqual(permissions.decide(alice, 'pull', repository('a/b')), { isAllowed: true, rule: 1 });
    assert.deepEqual(permissions.decide(bob, 'pull', repository('a/b')), { isAllowed: false, rule: 2 });
    assert.deepEqual(permissions.decide(bob, 'push', repository('a/b')), { isAllowed: false });
  });

  it('allow anonymous callers only if a rule does', () => {
    assert.equal(Permissions.forOpenRegistry().allowsAnonymous, true);
    assert.equal(new Permissions().allowsAnonymous, false);
    assert.equal(new Permissions([rule('a/*', '*', 'pull')]).allowsAnonymous, false);
    assert.equal(new Permissions([deny('a/*', 'anonymous', 'pull')]).allowsAnonymous, false);
    assert.equal(new Permissions([rule('a/*', 'anonymous', 'pull')]).allowsAnonymous, true);
  });

  test('mayEverywhere implies may in each repository, and may in any implies maySomewhere', () => {
    const name = fc.constantFrom('a/b', 'a/c', 'library/app', 'b/x/y');
    const pattern = fc.constantFrom('*', 'a/*', 'a/b', 'app', '*/x*', 'b/*/y');
    const who = fc.constantFrom('anonymous', '*', 'alice', 'bob', '@devs');
    const rules = fc.array(
      fc
        .tuple(pattern, who, fc.constantFrom(...ACTIONS), fc.boolean())
        .map(([p, w, a, d]) => (d ? deny : rule)(p, w, a)),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(
        rules,
        name,
        fc.constantFrom<Caller>(alice, bob, ANONYMOUS),
        fc.constantFrom(...ACTIONS),
        (all, n, caller, action) => {
          const permissions = new Permissions(all);
          const may = permissions.may(caller, action, n as RepositoryName);
          if (permissions.mayEverywhere(caller, action)) assert.ok(may);
          if (may) assert.ok(permissions.maySomewhere(caller, action));
          // Rules after the deciding one have no effect.
          const more = new Permissions([...all, deny('*', 'anonymous', action)]);
          assert.equal(more.may(caller, action, n as RepositoryName), may);
        },
      ),
    );
  });
});

describe('patterns', () => {
  test('match as a regular expression with .* for each star', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '/', '*', '.'), maxLength: 12 });
    fc.assert(
      fc.property(text, text, (pattern, name) => {
        const expression = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`, 's');
        assert.equal(matcherOf(pattern)(name), expression.test(name));
      }),
      { numRuns: 2000 },
    );
  });

  test('take linear time', () => {
    const matches = matcherOf('*a'.repeat(100));
    const started = performance.now();
    for (let i = 0; i < 1000; i++) matches('a'.repeat(99) + 'b'.repeat(150));
    assert.ok(performance.now() - started < 1000);
  });

  test('* matches every repository', () => {
    for (const name of ['a/b', 'library/x', 'a/b/c']) assert.ok(repositoryMatcher('*')(name));
  });
});

describe('the range of a pattern in a namespace', () => {
  const rows: [pattern: string, namespace: string, range: 'all' | 'some' | 'none'][] = [
    ['*', 'team', 'all'],
    ['team/*', 'team', 'all'],
    ['te*', 'team', 'none'],
    ['te*/*', 'team', 'some'],
    ['team/a*', 'team', 'some'],
    ['team/a', 'team', 'some'],
    ['team/a', 'tea', 'none'],
    ['team-b/a', 'team', 'none'],
    ['*/public', 'team', 'some'],
    ['app', 'library', 'some'],
    ['app*', 'library', 'some'],
    ['app*', 'app', 'none'],
  ];
  for (const [pattern, namespace, range] of rows) {
    it(`${pattern} in ${namespace}: ${range}`, () => assert.equal(rangeOfPattern(pattern, namespace), range));
  }

  it('is none only if it matches no repository, and all only if it matches every one', () => {
    const text = fc.stringMatching(/^[ab*/]{1,6}$/);
    const name = fc.stringMatching(/^[ab]{1,3}$/);
    fc.assert(
      fc.property(text, name, fc.stringMatching(/^[ab/]{1,4}$/), (pattern, namespace, part) => {
        const matches = repositoryMatcher(pattern)(`${namespace}/${part}`);
        const range = rangeOfPattern(pattern, namespace);
        if (range !== 'some') assert.equal(matches, range === 'all');
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a namespace in the list of repositories', () => {
  const hidden = [deny('team/*', 'anonymous', 'pull'), rule('*', 'anonymous', 'pull')];
  const rows: [title: string, rules: AccessRule[], caller: Caller, namespace: string, isSeen: boolean][] = [
    ['is not listed if a rule denies all of it', hidden, bob, 'team', false],
    ['is listed if no rule denies it', hidden, bob, 'other', true],
    ['is listed if an earlier rule allows a part of it', [rule('team/a', 'bob', 'pull'), ...hidden], bob, 'team', true],
    ['is not listed if no rule matches it', [rule('a/*', 'alice', 'pull')], alice, 'b', false],
    ['is not listed if the rule is for other users', [rule('a/*', 'alice', 'pull')], bob, 'a', false],
    ['is not listed if only push is allowed', [rule('a/*', 'alice', 'push')], alice, 'a', false],
    [
      'is there for a token of one of its repositories',
      [],
      { kind: 'token', subject: 'x', grants: [{ actions: ['pull'], repository: 'a/b' }] },
      'a',
      true,
    ],
    [
      'is left out for a token of others',
      [],
      { kind: 'token', subject: 'x', grants: [{ actions: ['pull'], pattern: 'b/*' }] },
      'a',
      false,
    ],
  ];
  for (const [title, rules, caller, namespace, isSeen] of rows) {
    it(title, () => assert.equal(new Permissions(rules).mayListIn(caller, namespace), isSeen));
  }

  it('is listed if one of its repositories is', () => {
    const pattern = fc.constantFrom('*', 'a/*', 'a/b', '*/b', 'b/*', 'b', 'a*/b', 'a/b*');
    const rules = fc.array(
      fc.tuple(pattern, fc.boolean()).map(([text, isDenied]) => (isDenied ? deny : rule)(text, 'bob', 'pull')),
      { maxLength: 5 },
    );
    fc.assert(
      fc.property(rules, fc.constantFrom('a', 'b', 'library'), fc.constantFrom('a', 'b', 'b/c'), (list, ns, part) => {
        const permissions = new Permissions(list);
        if (permissions.mayList(bob, `${ns}/${part}` as RepositoryName)) assert.ok(permissions.mayListIn(bob, ns));
      }),
      { numRuns: 2000 },
    );
  });
});
