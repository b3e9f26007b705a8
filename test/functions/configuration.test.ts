// What the stack says of logins holds in each function, whatever config.yml says.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readConfiguration } from '../../functions/configuration.ts';
import { ANONYMOUS, type Caller } from '../../lib/auth/callers/caller.ts';
import { Permissions } from '../../lib/auth/rules/permissions.ts';
import { parseRepositoryName } from '../../lib/model/names.ts';

const ALICE: Caller = { kind: 'user', name: 'alice', groups: [] };
const AUTH = '{htpasswd: "arn:aws:secretsmanager:eu-west-1:123456789012:secret:Users-AbCdEf"}';

describe('the configuration of a function', () => {
  let directory: string;
  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-configuration-'));
  });
  after(() => rm(directory, { recursive: true }));

  /** With a line of the shipped config.yml replaced, as an operator does in the package. */
  async function read(line: string, replacement: string, variables: NodeJS.ProcessEnv) {
    const shipped = await readFile(join(import.meta.dirname, '../../config.yml'), 'utf8');
    assert.ok(shipped.includes(line), line);
    const file = join(directory, 'config.yml');
    await writeFile(file, shipped.replace(line, replacement));
    const env = { SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'acme-images', DOCKER_REGISTRY_CONFIG: file, ...variables };
    return (await readConfiguration(env)).config;
  }

  test('cannot be without logins where the stack has users', async () => {
    await assert.rejects(read('  auth: _env:AUTH', '  auth: null', { AUTH }), /turns logins off/);
  });

  test('may be without logins where the stack names none, as for the collector', async () => {
    assert.equal((await read('  auth: _env:AUTH', '  auth: null', {})).auth, undefined);
  });

  for (const [title, ANONYMOUS_PULL, isAllowed] of [
    ['lets callers without a login do nothing in a private stack', 'false', false],
    ['lets callers without a login do what rules say in a stack with anonymous pull', 'true', true],
  ] as const) {
    test(title, async () => {
      const rules = '  access: [{repositories: public/*, users: [anonymous], actions: [pull]}]';
      const { auth } = await read('  access: _env:ACCESS', rules, { AUTH, ANONYMOUS_PULL });
      const permissions = new Permissions(auth?.rules);
      const repository = parseRepositoryName('public/app');
      assert.equal(permissions.may(ANONYMOUS, 'pull', repository), isAllowed);
      assert.equal(permissions.allowsAnonymous, isAllowed);
      assert.equal(permissions.may(ALICE, 'pull', repository), true);
      assert.equal(permissions.may(ALICE, 'push', repository), false);
    });
  }
});
