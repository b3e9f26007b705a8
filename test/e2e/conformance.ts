import { mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { load } from 'js-yaml';
import { attempt } from './programs.ts';

type Status = 'Pass' | 'Skip' | 'Disabled' | 'FAIL' | 'Error' | 'Unknown';
const TEST_STATUSES = ['passed', 'skipped', 'failure', 'error'] as const;
type TestStatus = (typeof TEST_STATUSES)[number];
const isTestStatus = (status: string): status is TestStatus => TEST_STATUSES.some((known) => known === status);

type Switches = { readonly [name: string]: boolean | Switches };

/** What the suite says in its two reports. */
export interface ConformanceReport {
  /** How many single tests passed. */
  passed: number;
  /** Single tests that failed or broke, by name. One name may stand for several tests. */
  failed: string[];
  /** Single tests that were not run. */
  skipped: string[];
  /** What it was told, or told itself, not to ask for: `data.sparse`. */
  switchedOff: string[];
  /** Groups of tests, by what is asked (`Blob push`) and of what (`Nested Index`), that did not simply pass. */
  notPassed: Record<string, Status>;
  /** What it printed of failures, the beginning of it. */
  failures: string;
}

export interface ConformanceOptions {
  /** `127.0.0.1:<port>` */
  host: string;
  /** The version of the spec, which says what is asked for unless `env` does. */
  version: 'stable' | 'dev';
  env: Readonly<Record<string, string>>;
  directory: string;
}

/**
 * Runs OCI's own conformance suite against a registry. It ends well also after a mistake in its configuration, so that
 * only its reports count: without them this throws.
 * @see https://github.com/opencontainers/distribution-spec/tree/main/conformance
 */
export async function runConformance(options: ConformanceOptions): Promise<ConformanceReport> {
  const { host, version, env, directory } = options;
  const results = await mkdtemp(join(directory, `conformance-${version}-`));
  const { stdout, stderr } = await attempt('conformance', [], {
    cwd: results, // where it would read a configuration
    env: {
      OCI_REGISTRY: host,
      OCI_TLS: 'disabled',
      OCI_VERSION: version,
      OCI_REPO1: `conformance/${version}`,
      OCI_REPO2: `conformance/${version}/other`,
      OCI_RESULTS_DIR: results,
      ...env,
    },
  });
  const read = (name: string) =>
    readFile(join(results, name), 'utf8').catch((cause: unknown) => {
      throw new Error(`the suite wrote no ${name}: ${stderr.slice(-4000)}`, { cause });
    });
  const { config, apis, data } = load(await read('results.yaml')) as {
    config: { apis: Switches; data: Switches };
    apis: Record<string, Status>;
    data: Record<string, Status>;
  };
  const tests = Map.groupBy(testcasesOf(await read('junit.xml')), ({ status }) => status);
  const named = (status: TestStatus) => tests.get(status)?.map(({ name }) => name) ?? [];
  return {
    passed: named('passed').length,
    failed: [...named('failure'), ...named('error')],
    skipped: named('skipped'),
    switchedOff: [...switchedOff(config.apis, 'apis'), ...switchedOff(config.data, 'data')],
    notPassed: Object.fromEntries(Object.entries({ ...apis, ...data }).filter(([, status]) => status !== 'Pass')),
    failures: stdout
      .toString()
      .split('\n')
      .filter((line) => /(FAIL|Error)$|^ +- /.test(line))
      .join('\n')
      .slice(0, 4000),
  };
}

/** What a test is called below the suite's own name, and how it ended. */
function testcasesOf(junit: string): { name: string; status: TestStatus }[] {
  return [...junit.matchAll(/<testcase name="[^/"]*\/([^"]*)"[^>]* status="([^"]*)"/g)].map(
    ([, name = '', status = '']) => {
      if (!isTestStatus(status)) throw new Error(`the suite says that ${name} is ${status}`);
      return { name, status };
    },
  );
}

function switchedOff(switches: Switches, path: string): string[] {
  return Object.entries(switches).flatMap(([name, value]) => {
    if (typeof value !== 'boolean') return switchedOff(value, `${path}.${name}`);
    return value ? [] : [`${path}.${name}`];
  });
}
