// Real clients against the built stack behind the stand-in for API Gateway.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { type Deployment, deploy, PASSWORD, USER } from '../gateway/deployment.ts';
import { useCleanup } from './cleanup.ts';
import { type Engine, engineKinds, useEngines } from './engine.ts';
import { imageInEngine } from './image-in-engine.ts';
import { makeCentos, type TestImage } from './images.ts';
import { blobPath, digestOf } from './oci-layout.ts';
import { attempt, type Program, run } from './programs.ts';

const MiB = 1024 * 1024;

describe('clients of the stack behind API Gateway', () => {
  const atEnd = useCleanup();
  const engineNamed = useEngines();
  let directory: string;
  let small: TestImage;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'lambda-e2e-'));
    atEnd(() => rm(directory, { recursive: true }));
    small = await makeCentos(join(directory, 'small'), 2);
  });

  /** Of an image as a client has written it to an OCI layout. */
  const assertPulled = async (layoutDirectory: string, { manifestDigest, configDigest, layers }: TestImage) => {
    for (const digest of [manifestDigest, configDigest, ...layers.map((layer) => layer.digest)]) {
      assert.equal(digestOf(await readFile(blobPath(layoutDirectory, digest))), digest);
    }
  };

  const dockerOf = (engine: Engine) => {
    const config = ['--config', join(directory, `config-${engine.name.replace(' ', '-')}`)];
    return {
      docker: (...args: string[]) => engine.docker(...config, ...args),
      attempt: (...args: string[]) => engine.attempt([...config, ...args]),
    };
  };

  /** The digest that a push by this engine got. */
  const pushByDocker = async (engine: Engine, image: TestImage, reference: string) => {
    const { docker } = dockerOf(engine);
    await docker('load', '-i', image.archive);
    await docker('tag', image.name, reference);
    const output = await docker('push', reference);
    return /digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? assert.fail(output);
  };

  const pullByDocker = async (engine: Engine, image: TestImage, reference: string, digest: string) => {
    const { docker } = dockerOf(engine);
    await engine.removeImages();
    await docker('pull', reference);
    const { id, configDigest, diffIds, content } = await imageInEngine(engine, reference, 'etc/centos-release');
    assert.deepEqual(
      { id, configDigest, diffIds, content },
      {
        id: engine.name === 'Docker 29' ? digest : image.configDigest,
        configDigest: image.configDigest,
        diffIds: image.layers.map(({ diffId }) => diffId),
        content: 'CentOS release 6.4 (Final)\n',
      },
    );
  };

  for (const headLength of ['zero', 'none'] as const) {
    describe(`without a push endpoint, where the length of HEAD is ${headLength}`, () => {
      const atSuiteEnd = useCleanup();
      let deployment: Deployment;
      let host: string;
      before(async () => {
        deployment = await deploy({ parameters: { PushEndpoint: 'none' }, headLength });
        atSuiteEnd(() => deployment.stop());
        ({ host } = deployment.gateway);
      });

      for (const { name } of engineKinds) {
        test(`${name} is refused with a wrong password`, async () => {
          const { attempt: tryDocker } = dockerOf(engineNamed(name));
          const { status, stderr } = await tryDocker('login', '-u', USER, '-p', 'wrong', host);
          assert.notEqual(status, 0);
          assert.match(stderr, /unauthorized/i);
        });

        test(`${name} is refused without a login`, async () => {
          const { attempt: tryDocker } = dockerOf(engineNamed(name));
          const { status, stderr } = await tryDocker('pull', `${host}/missing/image:1`);
          assert.notEqual(status, 0);
          assert.match(stderr, /no basic auth credentials|unauthorized|denied/i);
        });

        test(`${name} logs in, pushes and pulls a small image`, async () => {
          const engine = engineNamed(name);
          const { docker } = dockerOf(engine);
          await docker('login', '-u', USER, '-p', PASSWORD, host);
          const reference = `${host}/small/${name.replace(/\W/g, '').toLowerCase()}:6.4`;
          const digest = await pushByDocker(engine, small, reference);
          await pullByDocker(engine, small, reference, digest);
        });
      }

      describe('clients without a daemon', () => clientSuite(() => ({ deployment, image: small })));
    });
  }

  describe('a layer that is too large, without a push endpoint', () => {
    const atSuiteEnd = useCleanup();
    let deployment: Deployment;
    let host: string;
    before(async () => {
      deployment = await deploy({ parameters: { PushEndpoint: 'none' } });
      atSuiteEnd(() => deployment.stop());
      ({ host } = deployment.gateway);
    });

    // Over Lambda's limit the gateway's message is ours; over its own it is not.
    for (const [sizeMiB, message] of [
      [6, /in a clone of Stowage run \W*npx stowage serve/],
      [40, /413|content length exceeded|too large|broken pipe|connection reset/i],
    ] as const) {
      for (const { name } of engineKinds) {
        test(`${name} gives up a layer of ${sizeMiB} MiB and says why`, async (t) => {
          const image = await makeCentos(join(directory, `${sizeMiB}-${name}`), sizeMiB, `${sizeMiB}`);
          const { docker, attempt: tryDocker } = dockerOf(engineNamed(name));
          await docker('login', '-u', USER, '-p', PASSWORD, host);
          const reference = `${host}/large/image:${sizeMiB}`;
          await docker('load', '-i', image.archive);
          await docker('tag', image.name, reference);
          const { passed } = deployment.gateway;
          passed.length = 0;
          const { status, stdout, stderr } = await tryDocker('push', reference);
          t.diagnostic(stderr.trim());
          assert.notEqual(status, 0);
          assert.match(`${stdout}${stderr}`, message);
          // Over its own limit the gateway answers while Docker sends, and Docker tries again if its write fails before it reads.
          if (sizeMiB < 10) assert.equal(passed.filter((request) => request.status === 413).length, 1, 'tried again');
        });
      }
    }
  });

  describe('with the push endpoint', () => {
    const atSuiteEnd = useCleanup();
    let deployment: Deployment;
    let large: TestImage;
    let host: string;
    before(async () => {
      deployment = await deploy();
      atSuiteEnd(() => deployment.stop());
      ({ host } = deployment.gateway);
      large = await makeCentos(join(directory, 'large'), 300);
    });

    for (const { name } of engineKinds) {
      test(`${name} pushes and pulls an image with a layer of 300 MiB`, async (t) => {
        const engine = engineNamed(name);
        await dockerOf(engine).docker('login', '-u', USER, '-p', PASSWORD, host);
        const reference = `${host}/large/${name.replace(/\W/g, '').toLowerCase()}:6.4`;
        const { passed } = deployment.gateway;
        passed.length = 0;
        const digest = await pushByDocker(engine, large, reference);
        const pushed = throughGateway(passed);
        passed.length = 0;
        await pullByDocker(engine, large, reference, digest);
        const pulled = throughGateway(passed);
        t.diagnostic(`push: ${JSON.stringify(pushed)}; pull: ${JSON.stringify(pulled)}`);
        assert(pushed.bytesIn < MiB, 'layers were pushed through the gateway');
        // A manifest and answers in JSON: no byte of a layer.
        assert(pulled.bytesOut < 16 * 1024, `${pulled.bytesOut} bytes came through the gateway`);
      });
    }

    describe('clients without a daemon', () => clientSuite(() => ({ deployment, image: large, isLarge: true })));
  });

  type Suite = { deployment: Deployment; image: TestImage; isLarge?: boolean };

  function clientSuite(suite: () => Suite): void {
    const references = () => suite().deployment.gateway.host;
    const port = () => suite().deployment.gateway.url.port; // in names of files, where a colon means something

    /** Pushes and pulls by commands, and nothing of a layer comes through the gateway on the way out. */
    const roundTrip = async (push: () => Promise<unknown>, pull: () => Promise<unknown>) => {
      const { deployment } = suite();
      await push();
      deployment.gateway.passed.length = 0;
      await pull();
      assert(throughGateway(deployment.gateway.passed).bytesOut < 16 * 1024);
    };
    const tryLogin = (program: Program, args: string[]) => attempt(program, args);

    test('skopeo logs in, pushes and pulls', async () => {
      const { image } = suite();
      const host = references();
      const out = join(directory, `skopeo-${port()}`);
      const authfile = join(directory, `skopeo-${host}.json`);
      const login = (password: string) =>
        tryLogin('skopeo', ['login', '--tls-verify=false', '--authfile', authfile, '-u', USER, '-p', password, host]);
      assert.notEqual((await login('wrong')).status, 0);
      assert.equal((await login(PASSWORD)).status, 0);
      const remote = `docker://${host}/skopeo/image:1`;
      const local = `oci:${image.layoutDirectory}:6.4`;
      await roundTrip(
        () => run('skopeo', ['copy', '--authfile', authfile, '--dest-tls-verify=false', local, remote]),
        () => run('skopeo', ['copy', '--authfile', authfile, '--src-tls-verify=false', remote, `oci:${out}:6.4`]),
      );
      await assertPulled(out, image);
    });

    test('podman logs in, pushes and pulls', async () => {
      const { image } = suite();
      const host = references();
      const authfile = join(directory, `podman-${host}.json`);
      const storage = ['--root', join(directory, 'podman'), '--runroot', join(directory, 'podman-run')];
      const podman = (...args: string[]) => run('podman', [...storage, '--storage-driver=vfs', ...args]);
      const access = ['--authfile', authfile, '--tls-verify=false'];
      await podman('login', ...access, '-u', USER, '-p', PASSWORD, host);
      const loaded = (await podman('load', '-q', '-i', image.archive)).trim().split(' ').at(-1) ?? '';
      const reference = `${host}/podman/image:1`;
      await roundTrip(
        () => podman('push', ...access, loaded, `docker://${reference}`),
        async () => {
          await podman('rmi', '--all', '--force');
          await podman('pull', '-q', ...access, reference);
        },
      );
      const [{ RootFS }] = JSON.parse(await podman('image', 'inspect', reference));
      assert.deepEqual(
        RootFS.Layers,
        image.layers.map(({ diffId }) => diffId),
      );
      await podman('rmi', '--all', '--force');
    });

    test('crane logs in, pushes and pulls', async () => {
      const { image } = suite();
      const host = references();
      const env = { DOCKER_CONFIG: join(directory, `crane-${host}`) };
      const out = join(directory, `crane-out-${port()}`);
      await run('crane', ['auth', 'login', '-u', USER, '-p', PASSWORD, host], { env });
      const reference = `${host}/crane/image:1`;
      await roundTrip(
        () => run('crane', ['push', image.layoutDirectory, reference], { env }),
        () => run('crane', ['pull', '--format=oci', reference, out], { env }),
      );
      assert.equal((await run('crane', ['digest', reference], { env })).trim(), image.manifestDigest);
      await assertPulled(out, image);
    });

    test('oras logs in, pushes and pulls what fits through the gateway', async () => {
      const { isLarge } = suite();
      const host = references();
      const config = ['--registry-config', join(directory, `oras-${host}.json`), '--plain-http'];
      await run('oras', ['login', ...config, '-u', USER, '-p', PASSWORD, host]);
      const source = `${small.layoutDirectory}:6.4`;
      const reference = `${host}/oras/image:1`;
      const push = ['cp', '--from-oci-layout', '--to-plain-http', '--to-registry-config', config[1] ?? ''];
      const pull = ['cp', '--to-oci-layout', '--from-plain-http', '--from-registry-config', config[1] ?? ''];
      const out = join(directory, `oras-out-${port()}`);
      await roundTrip(
        () => run('oras', [...push, source, reference]),
        () => run('oras', [...pull, reference, `${out}:6.4`]),
      );
      await assertPulled(out, small);
      // It would go to no other host than this one, so larger layers need one host for all: infra/edge.yaml.
      if (!isLarge) return;
      const { image } = suite();
      const { status } = await attempt('oras', [...push, `${image.layoutDirectory}:6.4`, `${host}/oras/large:1`]);
      assert.notEqual(status, 0);
    });
  }
});

function throughGateway(passed: { bytesIn: number; bytesOut: number }[]) {
  return {
    requests: passed.length,
    bytesIn: passed.reduce((sum, { bytesIn }) => sum + bytesIn, 0),
    bytesOut: passed.reduce((sum, { bytesOut }) => sum + bytesOut, 0),
  };
}
