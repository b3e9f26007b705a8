import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { describeConfig } from '../../lib/config/describe.ts';
import { MAX_TRUSTED_KEYS, type TrustedKeySource } from '../../lib/ui/data/signatures/trusted-keys.ts';
import { loadKeys, loadText, messageOf, textFile } from './load-text.ts';

const LOCAL = 'dev:\n  storage: local\n  storage_path: ./data\n';
const CERTIFICATE = readFileSync(new URL('../fixtures/localhost-cert.pem', import.meta.url), 'utf8');

const pemOf = (key: { export(options: { type: 'spki'; format: 'pem' }): string | Buffer }) =>
  String(key.export({ type: 'spki', format: 'pem' }));
const EC = pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);

const keysOf = (keys: unknown): TrustedKeySource[] | undefined =>
  loadKeys({ pages: { trusted_keys: keys } }).config.pages?.trustedKeys;
const refusal = (keys: unknown): string => messageOf(() => keysOf(keys));

describe('pages.trusted_keys', () => {
  it('holds no key unless it is set', () => {
    assert.deepEqual(loadKeys({}).config.pages?.trustedKeys, []);
    assert.deepEqual(keysOf(null), []);
  });

  it('takes the text of a key, a certificate, a variable and a path', () => {
    const block = EC.trimEnd().replaceAll(/^/gm, '          ');
    const text = `${LOCAL}  pages:
    trusted_keys:
      - name: release
        key: |
${block}
        repositories: ['team/*', app]
      - {name: build, key: _env:BUILD_KEY}
      - {name: ci, key: /etc/stowage/ci.pub, repositories: 'ci/*'}
`;
    const { config } = loadText(text, { BUILD_KEY: CERTIFICATE });
    assert.deepEqual(config.pages?.trustedKeys, [
      { name: 'release', pem: EC.trimEnd(), repositories: ['team/*', 'app'] },
      { name: 'build', pem: CERTIFICATE.trimEnd(), repositories: ['*'] },
      { name: 'ci', path: '/etc/stowage/ci.pub', repositories: ['ci/*'] },
    ]);
  });

  it('is shown by `stowage config` as it was written', () => {
    const loaded = loadKeys({ pages: { trusted_keys: [{ name: 'ci', key: 'ci.pub', repositories: ['ci/*'] }] } });
    const shown = describeConfig(loaded);
    for (const part of ['name: ci', 'key: ci.pub', 'ci/*']) assert.ok(shown.includes(part), shown);
  });

  it('takes every kind of key that is verified', () => {
    for (const { publicKey } of [
      generateKeyPairSync('ec', { namedCurve: 'P-384' }),
      generateKeyPairSync('ec', { namedCurve: 'P-521' }),
      generateKeyPairSync('ed25519'),
      generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ]) {
      assert.equal(keysOf([{ name: 'a', key: pemOf(publicKey) }])?.length, 1);
    }
  });

  const other = { name: 'other', key: 'other.pub' };
  const refused: [string, unknown, RegExp][] = [
    ['a text', 'key.pub', /must be a list/],
    ['a map', { release: EC }, /must be a list/],
    ['an item that is no map', [other, 'key.pub'], /key 2 must be a map/],
    ['a misspelt field', [{ nam: 'a', key: EC }], /key 1 has nam; did you mean name\?/],
    ['an unknown field', [{ name: 'a', key: EC, expires: 1 }], /key 1 has expires; allowed: name, key, repositories/],
    ['no name', [{ key: EC }], /key 1 has no name/],
    ['a long name', [{ name: 'x'.repeat(65), key: EC }], /key 1 has no name of 1 to 64/],
    ['a name twice', [other, { ...other, key: EC }], /key 2 has the name other/],
    ['no key', [{ name: 'a' }], /key 1 has no key/],
    ['no repositories', [{ ...other, repositories: [] }], /key 1 names no repositories/],
    ['a regular expression', [{ ...other, repositories: ['a/.*?$'] }], /key 1 has "a\/\.\*\?\$" in repositories/],
    ['a broken key', [{ name: 'a', key: EC.replace(/M/g, '!') }], /key 1 \(a\) is not usable: its PEM text/],
    ['two keys in one', [{ name: 'a', key: EC + EC }], /key 1 \(a\) is not usable: it has 2 keys/],
    ['another kind of PEM', [{ name: 'a', key: EC.replaceAll('PUBLIC KEY', 'X509 CRL') }], /it is a X509 CRL; allowed/],
    [
      'a short RSA key',
      [{ name: 'a', key: pemOf(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey) }],
      /RSA key of 1024 bits; allowed: ECDSA/,
    ],
    [
      'another curve',
      [{ name: 'a', key: pemOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey) }],
      /curve secp256k1; allowed: ECDSA/,
    ],
    ['another algorithm', [{ name: 'a', key: pemOf(generateKeyPairSync('x25519').publicKey) }], /type x25519; allowed/],
    ['too many', Array.from({ length: MAX_TRUSTED_KEYS + 1 }, (_, n) => ({ name: `${n}`, key: `${n}` })), /at most 20/],
  ];
  for (const [title, keys, problem] of refused) {
    it(`refuses ${title}, with file, line and key`, () => {
      const message = refusal(keys);
      assert.match(message, problem);
      assert.ok(message.startsWith(`${textFile}:`) && message.includes('pages.trusted_keys'), message);
    });
  }

  it('names no part of a private key that was put there by mistake', () => {
    const pem = String(
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    );
    const [, secret = assert.fail('no PEM')] = pem.split('\n');
    for (const keys of [[{ name: 'a', key: pem }], [{ name: pem.slice(0, 60), key: pem }], pem, [pem]]) {
      const message = refusal(keys);
      assert.ok(!message.includes(secret), message);
    }
    assert.match(refusal([{ name: 'a', key: pem }]), /it is a private key/);
  });
});
