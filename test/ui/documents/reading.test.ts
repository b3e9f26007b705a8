// What the reading of documents leaves to other requests.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { layout } from '../../../lib/model/layout.ts';
import { parseDigest, parseRepositoryName } from '../../../lib/model/names.ts';
import { assembleRegistry } from '../../../lib/registry/registry.ts';
import { MiB } from '../../../lib/streams/bytes.ts';
import { readDocument } from '../../../lib/ui/data/documents.ts';
import { MemoryStorage } from '../../storage/memory.ts';
import { SPDX } from './samples.ts';

describe('the reading of a document', () => {
  it('gives other work its turn every 64 KiB', async () => {
    const storage = new MemoryStorage();
    const registry = assembleRegistry(storage, { copiesLayers: false });
    const repository = parseRepositoryName('docs/app');
    const bytes = Buffer.alloc(4 * MiB, ' ');
    bytes.write(JSON.stringify(SPDX));
    const digest = parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`);
    const key = layout.blobCopy(digest, '00000000-0000-4000-8000-000000000000');
    await storage.put(key, bytes);
    await storage.put(layout.blobLink(repository, digest), Buffer.from(JSON.stringify({ size: bytes.length, key })));
    let turns = 0;
    let isRunning = true;
    const count = () => {
      turns++;
      if (isRunning) setImmediate(count);
    };
    count();
    const content = await readDocument(registry, { repository, digest, page: { filter: '', from: 0, size: 50 } });
    isRunning = false;
    assert.ok(typeof content === 'object' && content.sbom?.packageCount === 3, JSON.stringify(content));
    assert.ok(turns >= 64, `${turns} turns`);
  });
});
