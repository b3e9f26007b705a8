import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Backend, backends } from './backends.ts';
import { useCleanup } from './cleanup.ts';
import { type Engine, engineKinds, startEngine } from './engine.ts';
import { makeCentos } from './images.ts';
import { digestOf } from './oci-layout.ts';
import { reportLogOfFailure, type Stowage, startStowage } from './stowage.ts';
import { visibleIn } from './visible.ts';
import { openWire, type Wire } from './wire.ts';

const MiB = 1024 * 1024;
const BIG_LAYER_MIB = 96;
/** Well inside the big layer, and past several parts of a multipart upload. */
const INTERRUPTED_AFTER_BYTES = 48 * MiB;

for (const kind of engineKinds) {
  describe(`an interrupted push by ${kind.name}`, () => {
    const atEnd = useCleanup();
    let directory: string;
    let engine: Engine;

    before(async () => {
      directory = await mkdtemp(join(tmpdir(), 'interruptions-e2e-'));
      atEnd(() => rm(directory, { recursive: true }));
      engine = await startEngine(kind);
      atEnd(() => engine.stop());
    });

    for (const { name, open } of backends) {
      test(`to ${name}: a killed client leaves nothing incomplete`, async (t) => {
        const { stowage, backend, wire } = await openRegistry(t, open);
        const reference = await tagNewImage(engine, directory, wire, t.name);

        const push = engine.attempt(['push', reference]);
        await wire.afterSending(INTERRUPTED_AFTER_BYTES);
        await engine.kill();
        assert.notEqual((await push).status, 0);
        await engine.restart();

        await assertNoUploadIsOpen(backend);
        await assertNothingIncomplete(stowage, backend);
        await assertPushSucceeds(engine, reference, stowage);
      });

      test(`to ${name}: a killed server leaves nothing incomplete`, async (t) => {
        const { stowage, backend, wire } = await openRegistry(t, open);
        const reference = await tagNewImage(engine, directory, wire, t.name);

        const interrupt = new AbortController();
        const push = engine.attempt(['push', reference], { signal: interrupt.signal });
        await wire.afterSending(INTERRUPTED_AFTER_BYTES);
        await stowage.kill();
        interrupt.abort(); // it would try again for minutes
        assert.notEqual((await push).status, 0);

        await stowage.restart();
        await assertNothingIncomplete(stowage, backend);
        await assertPushSucceeds(engine, reference, stowage);
      });

      test(`to ${name}: a cut network leaves nothing incomplete`, async (t) => {
        const { stowage, backend, wire } = await openRegistry(t, open);
        const reference = await tagNewImage(engine, directory, wire, t.name);

        const interrupt = new AbortController();
        const push = engine.attempt(['push', reference], { signal: interrupt.signal });
        await wire.afterSending(INTERRUPTED_AFTER_BYTES);
        wire.cut();
        interrupt.abort();
        assert.notEqual((await push).status, 0);

        await assertNoUploadIsOpen(backend);
        await assertNothingIncomplete(stowage, backend);
        await assertPushSucceeds(engine, reference, stowage);
      });
    }
  });
}

interface Registry {
  backend: Backend;
  stowage: Stowage;
  wire: Wire;
}

/** A registry with nothing in it, for one test. */
async function openRegistry(t: TestContext, open: () => Promise<Backend>): Promise<Registry> {
  const atEnd = useCleanup((end) => t.after(end));
  const backend = await open();
  atEnd(() => backend.close());
  const stowage = await startStowage(backend);
  atEnd(() => stowage.stop());
  atEnd(() => reportLogOfFailure(t, stowage));
  const wire = await openWire(stowage.port);
  atEnd(() => wire.close());
  return { backend, stowage, wire };
}

/** Loads an image that no other test has pushed, since an engine remembers where it has pushed a layer. */
async function tagNewImage(engine: Engine, directory: string, wire: Wire, seed: string): Promise<string> {
  const image = await makeCentos(await mkdtemp(join(directory, 'image-')), BIG_LAYER_MIB, seed);
  const reference = `127.0.0.1:${wire.port}/interrupted/centos:6.4`;
  await engine.docker('load', '-i', image.archive);
  await engine.docker('tag', image.name, reference);
  return reference;
}

async function assertPushSucceeds(engine: Engine, reference: string, stowage: Stowage): Promise<void> {
  const output = await engine.docker('push', reference);
  const digest = /6\.4: digest: (sha256:[0-9a-f]{64})/.exec(output)?.[1] ?? assert.fail(output);
  assert.deepEqual(await visibleIn(stowage.url), { 'interrupted/centos:6.4': digest });
}

/** No tag, no manifest, no v1 view; what is linked can be read; and the rest lies where scraps may lie. */
async function assertNothingIncomplete(stowage: Stowage, backend: Backend): Promise<void> {
  assert.deepEqual(await visibleIn(stowage.url), {});
  for (const key of await backend.keys()) {
    const hex = /^oci\/repositories\/interrupted\/centos\/blobs\/sha256\/([0-9a-f]{64})$/.exec(key)?.[1];
    if (hex !== undefined) {
      const response = await fetch(`${stowage.url}/v2/interrupted/centos/blobs/sha256:${hex}`);
      assert.equal(digestOf(await response.bytes()), `sha256:${hex}`, key);
    } else {
      assert.match(key, /^(\.tmp|oci\/(data|uploads|blobs|digests))\/|^oci\/layout\.json$/);
    }
  }
}

/** The server may take a moment to see that its client is gone. */
async function assertNoUploadIsOpen(backend: Backend): Promise<void> {
  const deadline = Date.now() + 10_000;
  while ((await backend.openUploads()).length > 0 && Date.now() < deadline) await sleep(200);
  assert.deepEqual(await backend.openUploads(), []);
}
