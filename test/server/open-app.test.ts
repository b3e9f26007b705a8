import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createLog } from '../../lib/model/log.ts';
import { assembleRegistry } from '../../lib/registry/registry.ts';
import { openApp } from '../../lib/server/open-app.ts';
import { htpasswdOf } from '../auth/test-auth.ts';
import { loadKeys } from '../config/load-text.ts';
import { type OpenedStorage, openFiles } from '../storage/open.ts';

describe('without secret_key', () => {
  let storage: OpenedStorage;
  let directory: string;
  let htpasswd: string;
  before(async () => {
    storage = await openFiles();
    directory = await mkdtemp(join(tmpdir(), 'open-app-'));
    htpasswd = join(directory, 'users');
    await writeFile(htpasswd, await htpasswdOf(['alice']));
  });
  after(async () => {
    await storage.close();
    await rm(directory, { recursive: true });
  });

  const warningsOf = async (keys: Record<string, unknown>): Promise<string[]> => {
    const { config } = loadKeys(keys);
    const lines: string[] = [];
    const { driver } = storage;
    const opened = { registry: assembleRegistry(driver, { copiesLayers: false }), storage: driver, isReadOnly: false };
    await openApp(config, opened, { log: createLog('warning', (line) => lines.push(line) > 0), version: '0' });
    return lines.map((line) => (JSON.parse(line) as { message: string }).message);
  };
  const WARNING = 'secret_key is not set: upload sessions and tokens are valid in this server only and end with it';
  const bucket = { storage: 's3', boto_bucket: 'images', s3_region: 'eu-west-1' };

  it('warns that tokens end with the process where there are logins', async () => {
    assert.deepEqual(await warningsOf({ auth: { htpasswd } }), [WARNING]);
  });
  it('warns for a bucket, which other processes may serve too', async () => {
    assert.deepEqual(await warningsOf(bucket), [WARNING]);
  });
  it('does not warn otherwise', async () => {
    assert.deepEqual(await warningsOf({}), []);
  });
  it('does not warn with a secret_key', async () => {
    const secret_key = 'a secret of the tests';
    assert.deepEqual(await warningsOf({ secret_key, auth: { htpasswd } }), []);
    assert.deepEqual(await warningsOf({ secret_key, ...bucket }), []);
  });
});

describe('a trusted key in a file', () => {
  const opening = async (key: string) => {
    const storage = await openFiles();
    try {
      const { config } = loadKeys({ pages: { trusted_keys: [{ name: 'release', key }] } });
      const { driver } = storage;
      const opened = {
        registry: assembleRegistry(driver, { copiesLayers: false }),
        storage: driver,
        isReadOnly: false,
      };
      await openApp(config, opened, { log: createLog('error', () => true), version: '0', hasPages: true });
    } finally {
      await storage.close();
    }
  };
  const pathOf = (name: string) => new URL(`../fixtures/${name}`, import.meta.url).pathname;

  it('is read at the start', async () => {
    await opening(pathOf('localhost-cert.pem'));
  });

  it('stops the start if it cannot be read, or is no public key', async () => {
    const problem = (file: string, why: string) => ({
      message: new RegExp(`^pages\\.trusted_keys: the key release in ${file} is not usable: ${why}`),
    });
    await assert.rejects(opening('/nowhere/release.pub'), problem('/nowhere/release.pub', 'ENOENT'));
    const privateKey = pathOf('localhost-key.pem');
    await assert.rejects(opening(privateKey), problem(privateKey, 'it is a private key'));
  });
});
