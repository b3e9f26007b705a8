import assert from 'node:assert/strict';
import { DockerRegistry } from './docker-registry.ts';
import { filesOf, type OldBucket, type OldRepository } from './generator.ts';
import { ok, type Served } from './served.ts';

/** Checks every v1 read route of a repository. */
export async function checkV1Repository(served: Served, bucket: OldBucket, repository: OldRepository): Promise<void> {
  const { name, tags, index, isPrivate } = repository;
  const names = name.startsWith('library/') ? [name, name.slice('library/'.length)] : [name];
  const unknown = {
    arch: 'amd64',
    docker_go_version: null,
    docker_version: null,
    kernel: null,
    last_update: null,
    os: 'linux',
  };
  const pushed = { ...unknown, docker_go_version: 'go1.2.1', docker_version: '0.11.1', kernel: '3.13.0-24-generic' };
  const checkMetadata = (actual: unknown, isKept: boolean) => {
    const { last_update, ...metadata } = actual as Record<string, unknown>;
    const { last_update: _, ...expected } = isKept ? pushed : unknown;
    assert.deepEqual(metadata, expected);
    assert.equal(typeof last_update, isKept ? 'number' : 'object');
  };
  for (const each of names) {
    const path = `/v1/repositories/${each}`;
    const listed = (await ok(served, `${path}/images`)).json() as { id: string }[];
    assert.deepEqual(new Set(listed.map(({ id }) => id)), new Set(index));
    const allTags = (await ok(served, `${path}/tags`)).json() as Record<string, string>;
    // A tag that 0.9 quoted may be listed in its quoted form too.
    assert.deepEqual(Object.fromEntries(Object.entries(allTags).filter(([tag]) => !tag.includes('%'))), tags);
    for (const [tag, id] of Object.entries(tags)) {
      assert.equal((await ok(served, `${path}/tags/${tag}`)).json(), id);
      const isKept = bucket.version === '0.9.1' && tag !== '_x';
      checkMetadata((await ok(served, `${path}/tags/${tag}/json`)).json(), isKept);
    }
    checkMetadata((await ok(served, `${path}/json`)).json(), 'latest' in tags);
    const properties = (await ok(served, `${path}/properties`)).json();
    assert.deepEqual(properties, { access: isPrivate ? 'private' : 'public' });
  }
}

/** Checks every v1 read route of an image. */
export async function checkV1Image(served: Served, bucket: OldBucket, id: string): Promise<void> {
  const image = bucket.images.get(id) ?? assert.fail(id);
  const path = `/v1/images/${id}`;
  const { bytes } = image.layer;

  const json = await ok(served, `${path}/json`);
  assert.ok(json.bytes.equals(image.json));
  assert.equal(json.header('X-Docker-Size'), String(bytes.length));
  const { checksums } = await new DockerRegistry(served.driver, bucket.version).json(id);
  // Several field lines equal one with commas. https://www.rfc-editor.org/rfc/rfc9110#section-5.3
  assert.equal(json.lines('X-Docker-Checksum-Payload').join(', '), checksums.join(', '));

  const ancestry = await ok(served, `${path}/ancestry`);
  assert.equal(ancestry.text, `[${image.ancestry.map((each) => `"${each}"`).join(', ')}]`);

  const layer = await ok(served, `${path}/layer`);
  assert.ok(layer.bytes.equals(bytes));
  const head = await served.head(`${path}/layer`);
  for (const answer of [layer, head]) {
    assert.equal(answer.status, 200);
    assert.equal(answer.header('Content-Length'), String(bytes.length));
    assert.equal(answer.header('Content-Type'), 'application/octet-stream');
    assert.equal(answer.header('Content-Encoding'), undefined);
  }
  if (bytes.length > 0) {
    // The range that Docker sends to resume ends one past the last byte.
    const half = bytes.length >> 1;
    const rest = await served.getWith(`${path}/layer`, { Range: `bytes=${half}-${bytes.length}` });
    assert.equal(rest.status, 206);
    assert.ok(rest.bytes.equals(bytes.subarray(half)));
  }
  for (const part of ['json', 'ancestry', 'layer']) {
    const known = await served.getWith(`${path}/${part}`, { 'If-Modified-Since': 'Thu, 01 Jan 1970 00:00:00 GMT' });
    assert.equal(known.status, 304);
  }

  if (image.layer.form === 'none') return;
  assert.equal((await ok(served, `${path}/files`)).text, filesOf(image.layer.entries));
}
