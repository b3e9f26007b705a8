import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { hashPassword } from '../../lib/auth/passwords/bcrypt.ts';
import { useIssuer } from '../auth/oidc/issuer.ts';
import { V1Client } from '../support/v1-client.ts';
import { newImage } from '../v1/use-registry.ts';
import { type Backend, backendsWithRedirects } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { engineKinds, useEngines } from './engine.ts';
import { makeCentos, type TestImage } from './images.ts';
import { attempt, type Ended, type Program } from './programs.ts';
import { reportLogOfFailure, type Stowage, startStowage } from './stowage.ts';

const PASSWORD = 'correct horse';
const REFUSED = /alice may not push to other\/app/;
const WRONG = /wrong user name or password/;
/** Docker's message after a Basic challenge, independently of the body of the answer. */
const UNAUTHORIZED = /401 Unauthorized/;
const NOT_LOGGED_IN = /log in|no basic auth credentials|denied|authoriz/;

/** A name without earlier attempts, because guesses are throttled by name. */
let strangers = 0;
const stranger = () => `stranger${strangers++}`;

/** With anonymous pull the challenge is Bearer and clients get tokens; without it, it is Basic. */
const CHALLENGES = [
  { challenge: 'Bearer', open: true },
  { challenge: 'Basic', open: false },
] as const;

describe('clients that log in', () => {
  const engineNamed = useEngines();
  const issuer = useIssuer();
  const atEnd = useCleanup();
  let directory: string;
  let image: TestImage;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'auth-e2e-'));
    atEnd(() => rm(directory, { recursive: true }));
    image = await makeCentos(directory, 2);
  });

  for (const { name, open: openBackend } of backendsWithRedirects.filter((kind) => kind.name !== 's3')) {
    for (const { challenge, open } of CHALLENGES) {
      describe(`on ${name}, challenged by ${challenge}`, () => {
        let backend: Backend;
        let stowage: Stowage;
        let host: string;
        /** Where a client keeps what it has logged in with: a new place for each test. */
        let home: string;

        before(async () => {
          backend = await openBackend();
          const htpasswd = join(directory, 'htpasswd');
          await writeFile(htpasswd, `alice:${await hashPassword(PASSWORD, 5)}\n`);
          const auth = {
            htpasswd,
            oidc: [
              {
                issuer: issuer.url,
                insecure: true,
                audience: 'registry',
                claims: { repository: 'org/*' },
                groups: 'ci',
              },
            ],
          };
          const access = [
            { repositories: 'team/*', users: 'alice', groups: 'ci', actions: '*' },
            { repositories: 'public/*', users: 'alice', actions: '*' },
            ...(open ? [{ repositories: 'public/*', users: 'anonymous', actions: 'pull' }] : []),
          ];
          // Go's clients send what they have logged in with along to another port of the same host, and S3 wants one
          // authorization, not two: the bucket needs a name of its own, as it has everywhere but on one machine.
          const bucketHost = backend.env.AWS_HOST === undefined ? {} : { AWS_HOST: 'localhost' };
          const env = {
            ...backend.env,
            ...bucketHost,
            AUTH: JSON.stringify(auth),
            ACCESS: JSON.stringify(access),
            SECRET_KEY: 'e2e',
          };
          stowage = await startStowage({ ...backend, env });
          host = stowage.host;
        });
        after(async () => {
          await stowage.stop();
          await backend.close();
        });
        beforeEach(async () => {
          home = await mkdtemp(join(directory, 'home-'));
          await mkdir(join(home, 'storage'));
        });
        afterEach((t) => reportLogOfFailure(t, stowage));

        const client = (program: Program, args: string[], input = '') =>
          attempt(program, args, {
            cwd: home,
            input,
            env: { HOME: home, DOCKER_CONFIG: home, REGISTRY_AUTH_FILE: join(home, 'auth.json') },
          });

        for (const { name: engineName } of engineKinds) {
          describe(engineName, () => {
            const docker = (...args: string[]) =>
              engineNamed(engineName).attempt(['--config', home, ...args], { env: { HOME: home } });
            const tag = async (repository: string) => {
              const engine = engineNamed(engineName);
              await engine.docker('load', '-i', image.archive);
              await engine.docker('tag', image.name, `${host}/${repository}:1`);
              return `${host}/${repository}:1`;
            };
            const login = (user: string, password: string) => docker('login', '-u', user, '-p', password, host);

            test('a wrong password is refused with the message of the registry', async () => {
              failed(await login(stranger(), 'wrong'), open ? WRONG : UNAUTHORIZED);
            });

            test('logs in and pushes; a push elsewhere is refused with the reason', async () => {
              succeeded(await login('alice', PASSWORD));
              succeeded(await docker('push', await tag('team/app')));
              succeeded(await docker('push', await tag('public/app')));
              failed(await docker('push', await tag('other/app')), REFUSED);
              await engineNamed(engineName).removeImages();
              succeeded(await docker('pull', `${host}/team/app:1`));
            });

            test('is anonymous after logout', async () => {
              succeeded(await login('alice', PASSWORD));
              succeeded(await docker('logout', host));
              failed(await docker('pull', `${host}/team/app:1`), NOT_LOGGED_IN);
              failed(await docker('push', await tag('team/app')), NOT_LOGGED_IN);
            });

            test(`pulls without a login ${open ? 'repositories with anonymous pull' : 'nothing'}`, async () => {
              await engineNamed(engineName).removeImages();
              const pulled = await docker('pull', `${host}/public/app:1`);
              if (open) succeeded(pulled);
              else failed(pulled, NOT_LOGGED_IN);
            });

            test('logs in with the token of an identity provider, and pushes', async () => {
              succeeded(await login('oidc', await issuer.token()));
              succeeded(await docker('push', await tag('team/ci')));
              failed(await docker('push', await tag('public/other')), /may not push to public\/other/);
              succeeded(await docker('logout', host));
              failed(
                await login('oidc', await issuer.token({ repository: 'elsewhere/x' })),
                open ? /not valid/ : UNAUTHORIZED,
              );
            });
          });
        }

        describe('skopeo', () => {
          const skopeo = (...args: string[]) => client('skopeo', args);
          const source = () => `oci:${image.layoutDirectory}:6.4`;
          const copyTo = (repository: string, ...flags: string[]) =>
            skopeo('copy', '--dest-tls-verify=false', ...flags, source(), `docker://${host}/${repository}:1`);
          const inspect = (repository: string, ...flags: string[]) =>
            skopeo('inspect', '--tls-verify=false', ...flags, `docker://${host}/${repository}:1`);

          test('logs in, pushes, is refused, logs out', async () => {
            failed(
              await skopeo('login', '--tls-verify=false', '-u', stranger(), '-p', 'wrong', host),
              /invalid username|unauthorized|wrong/,
            );
            succeeded(await skopeo('login', '--tls-verify=false', '-u', 'alice', '-p', PASSWORD, host));
            succeeded(await copyTo('team/skopeo'));
            succeeded(await inspect('team/skopeo'));
            failed(await copyTo('other/app'), REFUSED);
            succeeded(await skopeo('logout', host));
            failed(await inspect('team/skopeo'), /unauthorized|authentication required/);
          });

          test(`reads without a login ${open ? 'repositories with anonymous pull' : 'nothing'}`, async () => {
            succeeded(await copyTo('public/skopeo', '--dest-creds', `alice:${PASSWORD}`));
            const read = await inspect('public/skopeo', '--no-creds');
            if (open) succeeded(read);
            else failed(read, /unauthorized|authentication required/);
          });

          test('pushes with the token of an identity provider', async () => {
            succeeded(await copyTo('team/skopeo-ci', '--dest-creds', `oidc:${await issuer.token()}`));
          });
        });

        describe('crane', () => {
          const crane = (...args: string[]) => client('crane', args);
          const login = (user: string, password: string) => crane('auth', 'login', host, '-u', user, '-p', password);

          test('logs in, pushes, is refused, logs out', async () => {
            succeeded(await login('alice', PASSWORD));
            succeeded(await crane('push', image.layoutDirectory, `${host}/team/crane:1`));
            succeeded(await crane('validate', '--remote', `${host}/team/crane:1`));
            succeeded(await crane('copy', `${host}/team/crane:1`, `${host}/public/crane:1`));
            failed(await crane('push', image.layoutDirectory, `${host}/other/app:1`), REFUSED);
            const catalog = succeeded(await crane('catalog', host)).split('\n');
            assert.ok(catalog.includes('team/crane'), catalog.join());
            succeeded(await crane('auth', 'logout', host));
            failed(await crane('digest', `${host}/team/crane:1`), /UNAUTHORIZED|401/);
            const read = await crane('digest', `${host}/public/crane:1`);
            if (open) succeeded(read);
            else failed(read, /UNAUTHORIZED|401/);
          });

          test('a wrong password is refused at the first request', async () => {
            succeeded(await login(stranger(), 'wrong'));
            failed(await crane('digest', `${host}/team/crane:1`), /UNAUTHORIZED|401/);
          });

          test('pushes with the token of an identity provider', async () => {
            succeeded(await login('oidc', await issuer.token()));
            succeeded(await crane('push', image.layoutDirectory, `${host}/team/crane-ci:1`));
          });
        });

        describe('oras', () => {
          const config = () => ['--registry-config', join(home, 'oras.json')];
          const oras = (...args: string[]) => client('oras', args);
          const login = (user: string, password: string) =>
            oras('login', '--plain-http', ...config(), '-u', user, '-p', password, host);
          const push = (repository: string) =>
            oras('push', '--plain-http', ...config(), `${host}/${repository}:1`, 'note.txt:text/plain');

          beforeEach(() => writeFile(join(home, 'note.txt'), 'a note\n'));

          test('logs in, pushes, is refused, logs out', async () => {
            failed(await login(stranger(), 'wrong'), WRONG);
            succeeded(await login('alice', PASSWORD));
            succeeded(await push('team/oras'));
            succeeded(await push('public/oras'));
            failed(await push('other/app'), REFUSED);
            const list = async () => await oras('repo', 'ls', '--plain-http', ...config(), host);
            const all = succeeded(await list()).split('\n');
            for (const name of ['team/oras', 'public/oras']) assert.ok(all.includes(name), `${name} is not in ${all}`);
            succeeded(await oras('logout', ...config(), host));
            const listed = await list();
            if (open) assert.deepEqual(succeeded(listed).match(/\w+(?=\/oras)/g), ['public']);
            else failed(listed, /401|log in|unauthorized|credential/i);
            failed(
              await oras('pull', '--plain-http', ...config(), `${host}/team/oras:1`),
              /401|log in|unauthorized|credential/i,
            );
            const read = await oras('pull', '--plain-http', ...config(), `${host}/public/oras:1`);
            if (open) succeeded(read);
            else failed(read, /401|log in|unauthorized|credential/i);
          });

          test('pushes with the token of an identity provider', async () => {
            succeeded(await login('oidc', await issuer.token()));
            succeeded(await push('team/oras-ci'));
          });
        });

        describe('podman', () => {
          const podman = (...args: string[]) =>
            client('podman', [
              '--root',
              join(home, 'storage'),
              '--runroot',
              join(home, 'run'),
              '--storage-driver=vfs',
              ...args,
            ]);

          const login = (user: string, password: string) =>
            podman('login', '--tls-verify=false', '-u', user, '-p', password, host);
          const push = async (repository: string) => {
            succeeded(await podman('load', '--quiet', '-i', image.archive));
            return await podman('push', '--tls-verify=false', image.name, `${host}/${repository}:1`);
          };
          const pull = (repository: string) => podman('pull', '--tls-verify=false', `${host}/${repository}:1`);

          test('logs in, pushes, is refused, logs out', async () => {
            failed(await login(stranger(), 'wrong'), /invalid username/);
            succeeded(await login('alice', PASSWORD));
            succeeded(await podman('search', '--tls-verify=false', `${host}/`));
            succeeded(await push('team/podman'));
            succeeded(await push('public/podman'));
            failed(await push('other/app'), REFUSED);
            succeeded(await podman('logout', host));
            failed(await pull('team/podman'), /unauthorized|authentication required/);
            const pulled = await pull('public/podman');
            if (open) succeeded(pulled);
            else failed(pulled, /unauthorized|authentication required/);
          });

          test('pushes with the token of an identity provider', async () => {
            succeeded(await login('oidc', await issuer.token()));
            succeeded(await push('team/podman-ci'));
          });
        });

        describe('a v1 client', () => {
          const clientOf = (user: string, password: string) =>
            new V1Client(new URL(stowage.url), `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);

          test('pushes and pulls with a login, and is refused elsewhere', async () => {
            const one = newImage();
            const alice = clientOf('alice', PASSWORD);
            await alice.push('team/old', [one], { latest: one.id });
            assert.deepEqual(
              (await alice.pull('team/old', 'latest')).map(({ id }) => id),
              [one.id],
            );
            await assert.rejects(alice.push('other/app', [newImage()], {}), REFUSED);
            await assert.rejects(clientOf(stranger(), 'wrong').push('team/old', [one], {}), WRONG);
            await assert.rejects(new V1Client(new URL(stowage.url)).pull('team/old', 'latest'), /401/);
          });

          test(`pulls without a login ${open ? 'repositories with anonymous pull' : 'nothing'}`, async () => {
            const one = newImage();
            await clientOf('alice', PASSWORD).push('public/old', [one], { latest: one.id });
            const pull = new V1Client(new URL(stowage.url)).pull('public/old', 'latest');
            if (open) assert.equal((await pull)[0]?.id, one.id);
            else await assert.rejects(pull, /401/);
          });
        });
      });
    }
  }
});

/** What it printed. */
function succeeded({ status, stdout, stderr }: Ended): string {
  assert.equal(status, 0, `${stdout}${stderr}`);
  return stdout.toString();
}

function failed({ status, stdout, stderr }: Ended, why: RegExp): void {
  assert.notEqual(status, 0, `${stdout}${stderr}`);
  assert.match(`${stdout}${stderr}`, why);
}
