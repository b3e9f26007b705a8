// No matter what a users file contains, no login is answered with 5xx.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { hashPassword } from '../../../lib/auth/passwords/bcrypt.ts';
import { FileSource } from '../../../lib/auth/passwords/text-source.ts';
import { Users } from '../../../lib/auth/passwords/users.ts';
import { createLog } from '../../../lib/model/log.ts';
import { openApp } from '../../../lib/server/open-app.ts';
import { openRegistry } from '../../../lib/server/open-registry.ts';
import { loadKeys } from '../../config/load-text.ts';
import { basic } from '../test-auth.ts';
import { MemorySource } from './memory-source.ts';

const BCRYPT = await hashPassword('alice-password', 4);
const SHA = '{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=';

let directory: string;
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'stowage-users-'));
});
after(() => rm(directory, { recursive: true, force: true }));

/** A registry with this users file, where everything but pulls of `public/*` needs a login. */
async function open(users: string, { hasAuthorizer = false } = {}) {
  const htpasswd = join(directory, 'users');
  await writeFile(htpasswd, users);
  return await openWith(htpasswd, hasAuthorizer);
}

async function openWith(htpasswd: string, hasAuthorizer = false) {
  const { config } = loadKeys({
    storage_path: join(directory, 'data'),
    secret_key: 'x',
    auth: { htpasswd },
    access: [
      { repositories: 'public/*', users: 'anonymous', actions: 'pull' },
      { repositories: '*', users: '*', actions: '*' },
    ],
  });
  const logged: { level: string; message: string }[] = [];
  const log = createLog('info', (line) => logged.push(JSON.parse(line)) > 0);
  const app = await openApp(config, await openRegistry(config, { log }), { log, version: '0', hasAuthorizer });
  return {
    app,
    warnings: () => logged.filter(({ level }) => level === 'warn').map(({ message }) => message),
    logged,
  };
}

const readyOf = async (app: Awaited<ReturnType<typeof open>>['app']) => {
  const response = await app.request('/readyz');
  return [response.status, await response.json()];
};

const NONE = { status: 'ok', problem: 'no user can log in by a password' };

for (const [title, users, says] of [
  ['no line', '', /has no user with a usable password; type: stowage user add NAME/],
  ['a comment alone', '# no users yet\n', /has no user with a usable password/],
  ['empty lines', '\n \r\n\t\n', /has no user with a usable password/],
  ['SHA-1', `alice:${SHA}\n`, /line 1: the password of alice .* SHA-1\), .* type: stowage user add alice/],
  [
    'MD5 of Apache',
    'alice:$apr1$sv9S1g3d$2hNTQBk6w4VnAb6Q6XXXX/\n',
    /line 1: .* MD5 \(apr1\).* type: stowage user add alice/,
  ],
  ['a plain password', 'alice:alice-password\n', /line 1: the password of alice is not a bcrypt hash, /],
  ['a cost below that of bcrypt', `alice:${BCRYPT.replace('$04$', '$03$')}\n`, /line 1: .* cost 3; allowed: from 4 on/],
  ['a cost above that of bcrypt', `alice:${BCRYPT.replace('$04$', '$99$')}\n`, /line 1: .* cost 99/],
  ['NUL bytes', `al\0ice:${BCRYPT}\n`, /line 1: the file holds NUL bytes/],
  [
    'binary content',
    Buffer.from([0xff, 0xfe, 0x80, 0x3a, 0xc3]).toString('latin1'),
    /line 1: .* cannot be a user's name/,
  ],
] as const) {
  it(`a file with ${title} makes logins 401, and the log names the line and the remedy`, async () => {
    const { app, warnings } = await open(users);
    for (const name of ['alice', 'bob', '']) {
      for (const path of ['/v2/', '/v2/_token?service=x&scope=repository:a/b:pull', '/v1/users/']) {
        assert.equal(
          (await app.request(path, { headers: basic(name, 'alice-password') })).status,
          401,
          `${name} ${path}`,
        );
      }
    }
    assert.match(warnings().join('\n'), says);
    assert.doesNotMatch(warnings().join('\n'), /\$2y|\{SHA\}|sv9S1g3d|alice-password/);
    assert.equal((await app.request('/v2/public/app/tags/list')).status, 404, 'anonymous pulls still work');
    assert.deepEqual(await readyOf(app), [200, NONE]);
  });
}

it('an unusable line does not affect the others, and readyz counts it without the name', async () => {
  const { app, warnings } = await open(`alice:${BCRYPT}\nbob:${SHA}\n`);
  assert.equal((await app.request('/v2/', { headers: basic('alice') })).status, 200);
  assert.equal((await app.request('/v2/', { headers: basic('bob') })).status, 401);
  assert.equal(warnings().filter((message) => message.includes('line 2')).length, 1);
  assert.deepEqual(await readyOf(app), [200, { status: 'ok', problem: '1 line of the users are not used' }]);
});

it('readyz reports no problem for a correct file', async () => {
  assert.deepEqual(await readyOf((await open(`alice:${BCRYPT}\n`)).app), [200, { status: 'ok' }]);
});

describe('problems of a users file are logged', () => {
  const watch = async (text: string) => {
    const source = new MemorySource(text);
    const lines: string[] = [];
    const users = await Users.open(
      source,
      createLog('info', (line) => lines.push(line) > 0),
    );
    return { source, lines, users };
  };

  it('once, though the file changes several times', async () => {
    const { source, lines, users } = await watch(`alice:${SHA}\nbob:${BCRYPT}\n`);
    for (let i = 0; i < 3; i++) {
      source.text += `# ${i}\n`;
      await users.has('alice');
    }
    assert.equal(lines.length, 1);
    source.text = `bob:${BCRYPT}\nalice:${SHA}\n`;
    await users.has('alice');
    assert.match(lines[1] ?? '', /line 2/);
  });

  it('in at most 21 lines', async () => {
    const { lines, users } = await watch(Array.from({ length: 50_000 }, (_, i) => `u${i}:${SHA}\n`).join(''));
    assert.equal(lines.length, 21);
    assert.match(lines[20] ?? '', /49981 more lines are not used/);
    assert.equal(await users.has('u1'), false);
  });
});

it('fifty thousand users are read', async () => {
  const names = Array.from({ length: 50_000 }, (_, i) => `u${i}`);
  const source = new MemorySource(names.map((name) => `${name}:${BCRYPT}\n`).join(''));
  const users = await Users.open(source, createLog('critical'));
  assert.equal(await users.hashOf('u49999'), BCRYPT);
});

describe('a users file that cannot be read', () => {
  for (const [title, make, says] of [
    ['is missing', async () => 'none', /is not there: make it with `stowage user add NAME`/],
    ['is a directory', async (name: string) => mkdir(join(directory, name)).then(() => name), /is not a file/],
    [
      'is a FIFO',
      async (name: string) => promisify(execFile)('mkfifo', [join(directory, name)]).then(() => name),
      /is not a file/,
    ],
    [
      'is too large',
      async (name: string) => writeFile(join(directory, name), Buffer.alloc(5 * 1024 * 1024, '#')).then(() => name),
      /has more than 4194304 bytes/,
    ],
  ] as const) {
    it(`is an error at the start of a server if it ${title}`, async () => {
      const path = join(directory, await make(title.replaceAll(' ', '-')));
      await assert.rejects(openWith(path), (error: Error) =>
        says.test(`${error.message}: ${(error.cause as Error)?.message}`),
      );
    });

    it(`is no 5xx where users are read lazily if it ${title}`, async () => {
      const path = join(directory, await make(`late-${title.replaceAll(' ', '-')}`));
      const { app, logged } = await openWith(path, true);
      assert.equal((await app.request('/v2/', { headers: basic('alice') })).status, 401);
      assert.equal(logged.filter(({ level }) => level === 'error').length, 1);
      assert.equal((await app.request('/readyz')).status, 503);
    });
  }

  it('is read again, and its users can log in once it is there', async (t) => {
    const path = join(directory, 'comes-later');
    const users = Users.lazy(new FileSource(path), createLog('critical'));
    assert.equal(await users.has('alice'), false);
    await writeFile(path, `alice:${BCRYPT}\n`);
    const later = Date.now() + 6000;
    t.mock.method(Date, 'now', () => later);
    assert.equal(await users.has('alice'), true);
    assert.equal(await users.areCurrent(), true);
  });
});
