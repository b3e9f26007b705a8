import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseManifest } from '../../../lib/model/manifest.ts';
import { buildSteps, runConfig } from '../../../lib/ui/data/image-details.ts';
import { pullCommands } from '../../../lib/ui/data/pull-commands.ts';
import { placeOf } from '../../../lib/ui/html/links.ts';

const descriptor = (mediaType: string, digit: number) => ({
  mediaType,
  digest: `sha256:${String(digit).repeat(64)}`,
  size: digit,
});

const document = parseManifest(
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: descriptor('application/vnd.oci.image.config.v1+json', 9),
      layers: [1, 2].map((digit) => descriptor('application/vnd.oci.image.layer.v1.tar', digit)),
    }),
  ),
);

describe('the steps of a build', () => {
  it('are the layers with the commands that made them, and commands that made none', () => {
    const history = [
      { created_by: '/bin/sh -c #(nop) ADD file:1 in / ' },
      { created_by: '/bin/sh -c #(nop)  CMD ["sh"]', empty_layer: true },
      { created_by: 'RUN /bin/sh -c apk add curl # buildkit', comment: 'buildkit.dockerfile.v0' },
    ];
    const steps = buildSteps({ document, config: { history } });
    assert.deepEqual(
      steps.map(({ command, layer }) => [command, layer?.number]),
      [
        ['ADD file:1 in /', 1],
        ['CMD ["sh"]', undefined],
        ['RUN apk add curl', 2],
      ],
    );
  });

  it('are the layers alone where the history does not fit them', () => {
    for (const history of [[], [{ created_by: 'a' }], 'text', [1, 2]]) {
      const steps = buildSteps({ document, config: { history } });
      assert.deepEqual(
        steps.map(({ command, layer }) => [command, layer?.number]),
        [
          [undefined, 1],
          [undefined, 2],
        ],
      );
    }
  });
});

describe('a config', () => {
  it('is shown as far as it has the types of the specification', () => {
    const run = runConfig({
      os: 'linux',
      architecture: 'arm',
      variant: 'v7',
      created: '2026-01-02T03:04:05Z',
      config: { Cmd: ['a', 'b'], Entrypoint: 'sh', ExposedPorts: { '80/tcp': {} }, Labels: { a: 'b', c: 1 }, User: '' },
    });
    assert.equal(run.platform, 'linux/arm/v7');
    assert.deepEqual(
      [run.command, run.entrypoint, run.ports, run.labels],
      [['a', 'b'], ['sh'], ['80/tcp'], [['a', 'b']]],
    );
    assert.equal(run.user, undefined);
    assert.deepEqual(runConfig({ config: [], created: 'never' }).environment, []);
  });
});

describe('the commands that pull', () => {
  it('fit what is pulled', () => {
    const first = (name: string, kind: Parameters<typeof pullCommands>[3]) => {
      const { repository, tag, digest } = placeOf(`/ui/r/${name}`);
      const reference = tag === undefined ? { digest: digest ?? assert.fail(name) } : { tag };
      return pullCommands('r.example:5000', repository, reference, kind)[0];
    };
    const digest = `sha256:${'0'.repeat(64)}`;
    assert.equal(first(`charts/web@${digest}`, 'chart'), `helm pull oci://r.example:5000/charts/web@${digest}`);
    // What v1 clients push may not become a command of a shell.
    assert.equal(first('team/api:$(id)', 'image'), undefined);
    assert.equal(first('team/api;id:1', 'image'), undefined);
    assert.equal(first('team/api:1.0', 'image'), 'docker pull r.example:5000/team/api:1.0');
    assert.equal(first('library/app:1', 'index'), 'docker pull r.example:5000/app:1');
    assert.equal(first('charts/web:1.0_b2', 'chart'), 'helm pull oci://r.example:5000/charts/web --version 1.0+b2');
    const cacheFrom = 'docker buildx build --cache-from type=registry,ref=r.example:5000/team/app:cache .';
    assert.equal(first('team/app:cache', 'cache'), cacheFrom);
    assert.equal(first('team/files:1', 'artifact'), 'oras pull r.example:5000/team/files:1');
  });
});
