import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { retentionRules } from '../../../lib/config/retention-rules.ts';
import { parseYaml } from '../../../lib/config/yaml.ts';
import { DAY_MS } from '../../../lib/model/duration.ts';
import type { RepositoryName, Tag } from '../../../lib/model/names.ts';
import { type Clock, decide, type TagFacts } from '../../../lib/registry/retention/decide.ts';
import { type TagRule, tagRulesFor } from '../../../lib/registry/retention/rules.ts';

const NOW: Clock = { nowMs: 1000 * DAY_MS };

/** The rules of `yaml` that match the repository. */
function rulesFor(yaml: string, repository = 'team/app'): TagRule[] {
  return tagRulesFor(retentionRules.parse(parseYaml(yaml)) ?? [], repository as RepositoryName);
}

function tagged(tag: string, ageDays: number, more: Partial<TagFacts> = {}): TagFacts {
  return { tag: tag as Tag, movedAtMs: 1000 * DAY_MS - ageDays * DAY_MS, isImmutable: false, ...more };
}

/** The tags with their reasons: `+` before those that are kept, `-` before the others. */
function decided(yaml: string, tags: TagFacts[], clock = NOW): Record<string, string> {
  const verdicts = decide(rulesFor(yaml), tags, clock);
  return Object.fromEntries([...verdicts].map(([tag, { keep, reason }]) => [tag, `${keep ? '+' : '-'} ${reason}`]));
}

const keptOf = (yaml: string, tags: TagFacts[], clock = NOW) =>
  Object.entries(decided(yaml, tags, clock))
    .filter(([, reason]) => reason.startsWith('+'))
    .map(([tag]) => tag)
    .sort();

describe('the rules of a repository', () => {
  it('keep what no rule matches', () => {
    const rules = "[{repositories: ['team/*'], tags: ['pr-*'], keep: {last: 1}}]";
    assert.deepEqual(decided(rules, [tagged('latest', 900), tagged('pr-1', 2), tagged('pr-2', 1)]), {
      latest: '+ no rule',
      'pr-1': '- rule 1: 2nd newest',
      'pr-2': '+ rule 1: newest',
    });
    assert.deepEqual(rulesFor(rules, 'other/app'), []);
  });

  it('decide by the first that matches', () => {
    const rules = `
- {repositories: '**', tags: ['release-*'], keep: always}
- {repositories: '**', keep: {newer: 3d}}`;
    assert.deepEqual(decided(rules, [tagged('release-1', 500), tagged('x', 2), tagged('y', 3)]), {
      'release-1': '+ rule 1: always',
      x: '+ rule 2: newer than 3d',
      y: '- rule 2: not newer than 3d',
    });
  });

  it('keep a tag that any clause holds', () => {
    const rules = '[{repositories: team/*, keep: {last: 1, newer: 5d, newest_of_each: minor}}]';
    assert.deepEqual(
      decided(rules, [tagged('1.0.9', 90), tagged('1.0.10', 80), tagged('1.1.0', 4), tagged('1.0.1', 3)]),
      {
        '1.0.9': '- rule 1: 4th newest, 2nd highest of 1.0, not newer than 5d',
        '1.0.10': '+ rule 1: highest of 1.0',
        '1.1.0': '+ rule 1: highest of 1.1',
        '1.0.1': '+ rule 1: newest',
      },
    );
  });

  it('keep by all_of only what all of its clauses hold', () => {
    const rules = '[{repositories: team/*, keep: {all_of: {last: 2, newer: 5d}}}]';
    assert.deepEqual(decided(rules, [tagged('a', 6), tagged('b', 1), tagged('c', 2), tagged('d', 3)]), {
      a: '- rule 1: 4th newest, not newer than 5d',
      b: '+ rule 1: newest, newer than 5d',
      c: '+ rule 1: 2nd newest, newer than 5d',
      d: '- rule 1: 3rd newest',
    });
  });

  it('keep immutable tags, and count them for nothing', () => {
    const rules = '[{repositories: team/*, keep: {last: 1}}]';
    const tags = [tagged('v1', 1, { isImmutable: true }), tagged('a', 2), tagged('b', 3)];
    assert.deepEqual(decided(rules, tags), { v1: '+ immutable', a: '+ rule 1: newest', b: '- rule 1: 2nd newest' });
  });

  it('pass tags that are no versions on, where a rule is about versions', () => {
    const rules = '[{repositories: team/*, keep: {newest_of_each: minor}}]';
    const tags = [tagged('latest', 400), tagged('1.2.3', 400), tagged('1.2.4', 400)];
    assert.deepEqual(keptOf(rules, tags), ['1.2.4', 'latest']);
  });

  it('keep tags that move along with versions: 1 and 1.2 beside 1.2.4', () => {
    const rules = '[{repositories: team/*, keep: {newest_of_each: minor}}]';
    const tags = ['1', '1.2', '1.2.3', '1.2.4', '2', '2.0'].map((tag) => tagged(tag, 400));
    assert.deepEqual(keptOf(rules, tags), ['1', '1.2', '1.2.4', '2', '2.0']);
  });

  it('order versions as semver does, pre-releases before their version', () => {
    const rules = '[{repositories: team/*, keep: {newest_of_each: {minor: 4}}}]';
    const tags = ['1.0.0-alpha', '1.0.0-alpha.1', '1.0.0-beta.2', '1.0.0-beta.11', '1.0.0-rc.1', 'v1.0.0', '1.0.0'];
    const old = tags.map((tag) => tagged(tag, 400));
    assert.deepEqual(keptOf(rules, old), ['1.0.0', '1.0.0-beta.11', '1.0.0-beta.2', '1.0.0-rc.1', 'v1.0.0']);
  });

  it('keep the newest N.M of each N for ever, N.M-ci for days, and the rest for three weeks', () => {
    const rules = `
- {repositories: '**', tags: ['*.*-ci*'], keep: {newer: 5d}}
- {repositories: '**', keep: {newest_of_each: major, newer: 3w}}
- {repositories: '**', keep: {newer: 3w}}`;
    assert.ok(rules.trim().split('\n').length <= 6);
    const tags = [
      ...['1.0', '1.9', '1.10', '2.0', '2.0-ci8', '10.1'].map((tag) => tagged(tag, 500)),
      ...['2.1-ci7', '2.1', 'dev'].map((tag) => tagged(tag, 20)),
      tagged('2.2-ci1', 4),
      tagged('old', 22),
    ];
    assert.deepEqual(keptOf(rules, tags), ['1.10', '10.1', '2.1', '2.2-ci1', 'dev']);
  });

  it('delete an image with an expiry once it is over, and pass images without one on', () => {
    const rules = `
- {repositories: '**', expires: label}
- {repositories: '**', keep: {newer: 10d}}`;
    const tags = [
      tagged('short', 2, { expiresAfterMs: DAY_MS }),
      tagged('long', 50, { expiresAfterMs: 60 * DAY_MS }),
      tagged('none', 9),
      tagged('old', 11),
    ];
    assert.deepEqual(keptOf(rules, tags), ['long', 'none']);
  });

  describe('about pulls', () => {
    const rules = '[{repositories: team/*, keep: {last_pulled: 30d}}]';
    const since = { ...NOW, pullsSinceMs: 900 * DAY_MS };

    it('keep what was pulled or pushed within the time, and a day more, since one pull a day is recorded', () => {
      const tags = [
        tagged('pulled', 99, { lastPulledAtMs: 970.5 * DAY_MS }),
        tagged('day', 99, { lastPulledAtMs: 969.5 * DAY_MS }),
        tagged('older', 99, { lastPulledAtMs: 968.5 * DAY_MS }),
        tagged('pushed', 29),
        tagged('never', 31),
      ];
      assert.deepEqual(keptOf(rules, tags, since), ['day', 'pulled', 'pushed']);
    });

    it('keep everything until pulls are recorded for that long', () => {
      assert.deepEqual(keptOf(rules, [tagged('never', 99)], { ...NOW, pullsSinceMs: 980 * DAY_MS }), ['never']);
      assert.deepEqual(keptOf(rules, [tagged('never', 99)]), ['never']);
    });
  });
});

describe('whatever the tags', () => {
  const rules = `
- {repositories: '**', tags: ['v*'], keep: {newest_of_each: {minor: 2}, last: 3}}
- {repositories: '**', tags: ['*1*'], expires: label}
- {repositories: '**', tags: ['*1*', '*2*'], keep: {last: 4, all_of: {newer: 20d, last: 9}}}`;
  const runs = Array.from({ length: 200 }, (_, seed) => randomTags(seed));

  it('the verdicts do not depend on their order', () => {
    for (const tags of runs) {
      const forward = decide(rulesFor(rules), tags, NOW);
      const backward = decide(rulesFor(rules), tags.toReversed(), NOW);
      for (const [tag, verdict] of forward) assert.deepEqual(backward.get(tag), verdict);
      assert.equal(forward.size, new Set(tags.map(({ tag }) => tag)).size);
    }
  });

  it('a longer time or a higher number keeps no fewer', () => {
    const generous = rules
      .replace('last: 3', 'last: 5')
      .replace('minor: 2', 'minor: 4')
      .replace('20d', '40d')
      .replace('last: 4', 'last: 6');
    let more = 0;
    for (const tags of runs) {
      const kept = keptOf(rules, tags);
      const keptByMore = new Set(keptOf(generous, tags));
      for (const tag of kept) assert.ok(keptByMore.has(tag), tag);
      more += keptByMore.size - kept.length;
    }
    assert.ok(more > 0);
  });

  it('no tag is deleted that a clause holds by itself', () => {
    for (const tags of runs) {
      const kept = new Set(keptOf(rules, tags));
      const isDecided = ({ tag }: TagFacts) => tag.startsWith('v') && /^v\d/.test(tag);
      const byMove = tags
        .filter((facts) => isDecided(facts) && !facts.isImmutable)
        .toSorted((a, b) => b.movedAtMs - a.movedAtMs)
        .slice(0, 3);
      for (const { tag } of byMove) assert.ok(kept.has(tag), tag);
    }
  });

  it('no tag is deleted without a rule that matches it, and no immutable one', () => {
    for (const tags of runs) {
      const kept = new Set(keptOf(rules, tags));
      for (const { tag, isImmutable } of tags) {
        if (isImmutable || !/^v|1|2/.test(tag)) assert.ok(kept.has(tag), tag);
      }
    }
  });
});

/** Up to 40 tags with distinct names and times. */
function randomTags(seed: number): TagFacts[] {
  let state = seed * 2654435761 + 12345;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const tags = new Map<string, TagFacts>();
  for (let count = random(40); count > 0; count--) {
    const name = [`v${random(3)}.${random(4)}.${random(9)}`, `pr-${random(30)}`, `dev${random(9)}`][random(3)] ?? '';
    const isImmutable = random(8) === 0;
    const expiresAfterMs = (1 + random(60)) * DAY_MS;
    const isExpiring = random(4) === 0;
    const ageDays = random(100) + tags.size / 1000;
    tags.set(name, tagged(name, ageDays, { isImmutable, ...(isExpiring && { expiresAfterMs }) }));
  }
  return [...tags.values()];
}
