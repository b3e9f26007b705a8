import { matcherOf } from '../../model/name-pattern.ts';

/** Programs that read every image whether it is in use or not: scanners, and those that look for updates. */
export const SCANNERS: readonly string[] = [
  'trivy',
  'grype',
  'syft',
  'clair',
  'snyk*',
  'anchore*',
  'twistlock*',
  'prisma*',
  'neuvector*',
  'docker-scout*',
  'renovate*',
  'diun',
  'watchtower*',
];

/** What identifies the program that pulls. */
export type Puller = { caller: string; userAgent: string };

/**
 * Makes a predicate: whether pulls of this program do not count. A pattern matches the caller's name, or the name of a product
 * in the User-Agent (`trivy` of `trivy/0.58.1 (linux)`), in any case.
 */
export function ignoredPullers(patterns: readonly string[]): (puller: Puller) => boolean {
  const matchers = patterns.map((pattern) => matcherOf(pattern.toLowerCase()));
  return ({ caller, userAgent }) => {
    const products = userAgent.split(/[\s,;()]+/).map((product) => product.split('/')[0] ?? '');
    const names = [caller, ...products].filter((name) => name !== '').map((name) => name.toLowerCase());
    return names.some((name) => matchers.some((matches) => matches(name)));
  };
}
