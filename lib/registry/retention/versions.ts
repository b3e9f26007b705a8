// Tags that are versions. https://semver.org/spec/v2.0.0.html, with what tags have in practice: one to four numbers, a `v` before
// them, leading zeros (`2026.01.05`), and `_` for the `+` of build metadata, which a tag cannot hold.
import type { VersionLevel } from './rules.ts';

export type Version = { numbers: bigint[]; prerelease: string[] };

const VERSION = /^v?(\d+(?:\.\d+){0,3})(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:_[0-9A-Za-z.-]+)?$/;

/** `undefined` for a tag that is no version. */
export function parseVersion(tag: string): Version | undefined {
  const [, numbers, prerelease] = VERSION.exec(tag) ?? [];
  if (numbers === undefined) return undefined;
  return { numbers: numbers.split('.').map(BigInt), prerelease: prerelease?.split('.') ?? [] };
}

/**
 * The order of semver: less than 0 if `a` precedes `b`, 0 if they are the same version. A pre-release precedes its version.
 * @see https://semver.org/spec/v2.0.0.html#spec-item-11
 */
export function compareVersions(a: Version, b: Version): number {
  for (let at = 0; at < Math.max(a.numbers.length, b.numbers.length); at++) {
    const order = compare(a.numbers[at] ?? -1n, b.numbers[at] ?? -1n);
    if (order !== 0) return order;
  }
  if (a.prerelease.length === 0 || b.prerelease.length === 0) return compare(b.prerelease.length, a.prerelease.length);
  for (let at = 0; at < Math.max(a.prerelease.length, b.prerelease.length); at++) {
    const [left, right] = [a.prerelease[at], b.prerelease[at]];
    if (left === undefined || right === undefined) return left === undefined ? -1 : 1;
    const order = compareIdentifiers(left, right);
    if (order !== 0) return order;
  }
  return 0;
}

const NUMERIC = /^\d+$/;

/** Numbers precede other identifiers, and are compared as numbers. */
function compareIdentifiers(a: string, b: string): number {
  if (NUMERIC.test(a) && NUMERIC.test(b)) return compare(BigInt(a), BigInt(b));
  if (NUMERIC.test(a) || NUMERIC.test(b)) return NUMERIC.test(a) ? -1 : 1;
  return compare(a, b);
}

function compare<T>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

const LENGTHS: Record<VersionLevel, number> = { major: 1, minor: 2, patch: 3 };

/**
 * The group of a version, such as `1.2` for `minor`. Versions with fewer numbers are a group apart, since `1.2` beside `1.2.7` is
 * a tag that moves along: it has no successor in `1.2.8`.
 */
export function groupOf({ numbers }: Version, level: VersionLevel): { name: string; key: string } {
  const name = numbers.slice(0, LENGTHS[level]).join('.');
  return { name, key: `${numbers.length} ${name}` };
}
