import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RegistryError } from '../../../lib/model/errors.ts';
import { parseRepositoryName } from '../../../lib/model/names.ts';
import { SigningKeys } from '../../../lib/model/signed-token.ts';
import { SessionSigner, type UploadSession } from '../../../lib/registry/uploads/session.ts';

const HOUR_MS = 60 * 60 * 1000;

const repository = parseRepositoryName('a/b');
const signer = new SessionSigner(new SigningKeys('secret'));
const startedMs = Date.UTC(2026, 0, 1);
const session: UploadSession = {
  uuid: 'u',
  repository,
  registryUrl: 'http://localhost',
  startedAtSeconds: startedMs / 1000,
  state: { kind: 'started', algorithm: 'sha256' },
};

const isGood = (token: string, nowMs: number) => {
  try {
    assert.deepEqual(signer.verify(token, repository, 'u', nowMs), session);
    return true;
  } catch (error) {
    assert.ok(error instanceof RegistryError && error.code === 'BLOB_UPLOAD_UNKNOWN');
    return false;
  }
};

describe('an upload session', () => {
  it('may be idle for an hour', () => {
    const token = signer.sign(session, startedMs);
    assert.equal(isGood(token, startedMs + HOUR_MS), true);
    assert.equal(isGood(token, startedMs + HOUR_MS + 1000), false);
  });

  it('ends a day after its start, also if it was renewed', () => {
    let nowMs = startedMs;
    let token = signer.sign(session, nowMs);
    while (nowMs < startedMs + 23.5 * HOUR_MS) {
      nowMs += HOUR_MS / 2;
      assert.equal(isGood(token, nowMs), true);
      token = signer.sign(signer.verify(token, repository, 'u', nowMs), nowMs);
    }
    assert.equal(isGood(token, startedMs + 24 * HOUR_MS), true);
    assert.equal(isGood(token, startedMs + 24 * HOUR_MS + 1000), false);
    assert.equal(isGood(signer.sign(session, startedMs + 25 * HOUR_MS), startedMs + 25 * HOUR_MS), false);
  });
});
