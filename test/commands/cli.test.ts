import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { digestOf, V2Client } from '../v2/client.ts';

const fixture = (name: string) => join(import.meta.dirname, '../fixtures', name);

const fingerprintOfFile = async (name: string) =>
  new X509Certificate(await readFile(fixture(`${name}-cert.pem`))).fingerprint256;

/** The fingerprint of the certificate that a new connection gets. */
async function fingerprintOf({ port }: URL): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

const CLI = fileURLToPath(new URL('../../bin/stowage.js', import.meta.url));

describe('the command stowage', () => {
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'stowage-cli-'));
  });
  after(() => rm(directory, { recursive: true, force: true }));

  const start = (args: string[], env: Record<string, string> = {}): ChildProcess =>
    spawn(process.execPath, [CLI, ...args], {
      env: { PATH: process.env.PATH, STOWAGE_RUNTIME_DIR: '', STORAGE_PATH: join(directory, 'data'), ...env },
    });
  const run = async (args: string[], env?: Record<string, string>) => {
    const child = start(args, env);
    const output = { stdout: '', stderr: '' };
    child.stdout?.on('data', (chunk) => (output.stdout += String(chunk)));
    child.stderr?.on('data', (chunk) => (output.stderr += String(chunk)));
    const [code] = await once(child, 'close');
    return { code, ...output };
  };
  /** Starts a server, and waits until it says where it listens. */
  const serve = async (...args: string[]) => {
    const child = start(['serve', '--port', '0', ...args]);
    const log: string[] = [];
    const url = await new Promise<URL>((resolve, reject) => {
      child.once('exit', () => reject(new Error(log.join('\n'))));
      child.stdout?.on('data', (chunk) => {
        log.push(...String(chunk).trim().split('\n'));
        const listening = log.map((line) => JSON.parse(line)).find(({ message }) => message === 'listening');
        if (listening) resolve(new URL(listening.url));
      });
    });
    return { child, url, log };
  };

  it('prints its version, and the options of a command', async () => {
    const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
    assert.deepEqual(await run(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
    const help = await run(['serve', '--help']);
    for (const option of ['--config', '--host', '--port', '--grace']) assert.match(help.stdout, new RegExp(option));
  });

  for (const [title, args, env, message] of [
    ['a configuration file that does not exist', ['serve', '--config', '/nowhere.yml'], {}, /nowhere\.yml/],
    ['a value that is not allowed', ['config'], { LOGLEVEL: 'loud' }, /loglevel.*loud.*debug, info/],
    ['a certificate without its key', ['serve', '--tls-cert', 'x.pem'], {}, /--tls-cert and --tls-key/],
    [
      'a certificate file that holds none',
      ['serve', '--port', '0', '--tls-cert', CLI, '--tls-key', CLI],
      {},
      /cli\.js .*certificate.*PEM|stowage\.js .*certificate.*PEM/,
    ],
    [
      'an htpasswd file that does not exist',
      ['serve', '--port', '0'],
      { AUTH: '{htpasswd: /nowhere/users}' },
      /auth\.htpasswd \/nowhere\/users .*`stowage user add NAME`/,
    ],
    [
      'users to list in a file that does not exist',
      ['user', 'list'],
      { AUTH: '{htpasswd: /nowhere/users}' },
      /\/nowhere\/users is not there: .*`stowage user add NAME`/,
    ],
    ['a flavor that does not exist', ['serve'], { SETTINGS_FLAVOR: 'x' }, /config\.yml: .*flavor "x"/],
    [
      'a bucket that cannot be reached',
      ['serve'],
      {
        SETTINGS_FLAVOR: 's3',
        AWS_BUCKET: 'abc',
        AWS_KEY: 'k',
        AWS_SECRET: 's',
        AWS_HOST: '127.0.0.1',
        AWS_PORT: '1',
        AWS_SECURE: 'false',
      },
      /bucket abc at \S+127\.0\.0\.1:1: .*ECONNREFUSED 127\.0\.0\.1:1.*boto_host and boto_port/,
    ],
    [
      'a missing bucket name',
      ['serve'],
      { SETTINGS_FLAVOR: 's3' },
      /boto_bucket .*AWS_BUCKET .*allowed: the name of a bucket/,
    ],
    [
      'a bucket name that S3 does not allow',
      ['serve'],
      { SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'b' },
      /boto_bucket "b" .*AWS_BUCKET.*allowed: .*3 to 255 letters/,
    ],
  ] as const) {
    it(`exits with 1 and prints one line for ${title}`, async () => {
      const { code, stderr } = await run([...args], env);
      assert.equal(code, 1);
      assert.match(stderr, message);
      assert.equal(stderr.trim().split('\n').length, 1, stderr);
      const reasons = stderr.match(/\bE[A-Z]{5,}\b/g) ?? [];
      assert.equal(new Set(reasons).size, reasons.length, `each error code occurs once: ${stderr}`);
    });
  }

  for (const [title, status, secure, remedy] of [
    ['does not exist', 404, false, /create/],
    ['the caller may not use', 403, false, /access key.*s3:ListBucket/],
    [
      'is in another region, or at a server that speaks HTTPS',
      400,
      false,
      /region than here.*s3_secure \(AWS_SECURE\).*true/,
    ],
    ['is looked for by HTTPS at a server that speaks HTTP', 200, true, /s3_secure \(AWS_SECURE\).*false/],
  ] as const) {
    it(`exits with 1 and names bucket, address and remedy for a bucket that ${title}`, async () => {
      const server = createServer((_, response) => response.writeHead(status).end()).listen(0, '127.0.0.1');
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const { code, stderr } = await run(['serve'], {
        ...{ SETTINGS_FLAVOR: 's3', AWS_BUCKET: 'abc', AWS_KEY: 'k', AWS_SECRET: 's', AWS_REGION: 'here' },
        ...{ AWS_HOST: '127.0.0.1', AWS_PORT: String(port), AWS_SECURE: String(secure) },
        AWS_CALLING_FORMAT: 'OrdinaryCallingFormat',
      });
      server.close();
      const url = `${secure ? 'https' : 'http'}://127.0.0.1:${port}`;
      assert.equal(code, 1);
      assert.match(stderr, /^stowage: .*\n$/);
      assert.ok(stderr.includes(url), stderr);
      if (!secure) assert.match(stderr, /\bbucket abc\b/);
      assert.match(stderr, remedy);
    });
  }

  it('answers an unknown option with the closest one and with --help', async () => {
    const { code, stdout, stderr } = await run(['serve', '--prot', '5000']);
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(stderr, "error: unknown option '--prot'\n(Did you mean --port?)\n\n(--help shows all options)\n");
  });

  for (const command of ['serve', 'config', 'adopt', 'user add', 'access explain', 'token create']) {
    it(`the help of ${command} names the variable that chooses the flavor`, async () => {
      assert.match((await run([...command.split(' '), '--help'])).stdout, /\$SETTINGS_FLAVOR/);
    });
  }

  for (const command of ['adopt', 'user add', 'user remove', 'token create', 'token revoke']) {
    it(`the help of ${command}, which writes, has --anyway`, async () => {
      assert.match((await run([...command.split(' '), '--help'])).stdout, /--anyway/);
    });
  }

  for (const command of ['user list', 'user check', 'token list', 'config', 'access explain', 'serve']) {
    it(`the help of ${command}, which does not write, has no --anyway`, async () => {
      assert.doesNotMatch((await run([...command.split(' '), '--help'])).stdout, /--anyway/);
    });
  }

  it('the help of token create says that a token does not expire by default', async () => {
    assert.match((await run(['token', 'create', '--help'])).stdout, /default:\s+never/);
  });

  it('config prints the configuration in effect without secrets', async () => {
    const file = join(directory, 'config.yml');
    await writeFile(file, 'dev:\n  storage: local\n  storage_path: /tmp/x\n  secret_key: hunter2\n');
    const { code, stdout } = await run(['config', '--config', file]);
    assert.equal(code, 0);
    assert.match(stdout, /storage_path: \/tmp\/x/);
    assert.doesNotMatch(stdout, /hunter2/);
  });

  it('serve names the port that is in use, and how to choose another', async () => {
    const { child, url } = await serve();
    const { code, stderr } = await run(['serve', '--port', url.port]);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`port ${url.port} .*--port.*REGISTRY_PORT`));
    assert.equal(stderr.match(/EADDRINUSE/g), null);
    child.kill();
    await once(child, 'exit');
  });

  it('serve logs requests with their id and without their query', async () => {
    const { child, url, log } = await serve();
    const client = new V2Client(url);
    const response = await client.send('PATCH', await client.start('app'), { body: 'x' });
    child.kill();
    await once(child, 'close');
    const lines = log.map((line) => JSON.parse(line));
    const line = lines.find(({ message, method }) => message === 'request' && method === 'PATCH');
    assert.partialDeepStrictEqual(line, { status: 202, requestId: response.headers.get('X-Request-Id') });
    assert.ok(line.bytesIn > 0 && line.bytesOut > 0);
    assert.doesNotMatch(log.join('\n'), /_state/);
  });

  for (const workers of ['1', '2']) {
    it(`serve reads its certificate again on SIGHUP, and keeps it where the files are wrong, with workers: ${workers}`, async () => {
      const [cert, key] = [join(directory, 'cert.pem'), join(directory, 'key.pem')];
      const install = async (name: string) => {
        await copyFile(fixture(`${name}-cert.pem`), cert);
        await copyFile(fixture(`${name}-key.pem`), key);
      };
      await install('localhost');
      const { child, url, log } = await serve('--tls-cert', cert, '--tls-key', key, '--workers', workers);
      const served = async () => {
        const found = await Promise.all(Array.from({ length: 8 }, () => fingerprintOf(url)));
        assert.equal(new Set(found).size, 1, 'all workers have the same certificate');
        return found[0];
      };
      const [old, renewed] = await Promise.all(['localhost', 'renewed'].map(fingerprintOfFile));
      assert.equal(await served(), old);
      const signal = async (message: RegExp) => {
        const length = log.length;
        child.kill('SIGHUP');
        while (!log.slice(length).some((line) => message.test(line))) await once(child.stdout ?? child, 'data');
      };
      await install('renewed');
      await signal(/"level":"info","message":"the certificate was read again"/);
      assert.equal(await served(), renewed);
      await writeFile(cert, 'no certificate');
      await signal(/"level":"error","message":"the certificate cannot be read again/);
      assert.equal(await served(), renewed);
      child.kill();
      assert.deepEqual(await once(child, 'exit'), [0, null]);
    });
  }

  it('serve without a certificate goes on after SIGHUP', async () => {
    const { child, url, log } = await serve();
    child.kill('SIGHUP');
    while (!log.some((line) => line.includes('SIGHUP is ignored'))) await once(child.stdout ?? child, 'data');
    assert.equal((await fetch(new URL('/healthz', url))).status, 200);
    child.kill();
    assert.deepEqual(await once(child, 'exit'), [0, null]);
  });

  it('serve completes an upload after SIGTERM, accepts no new connection, and exits', async () => {
    const { child, url } = await serve();
    const client = new V2Client(url);
    const digest = digestOf('slow upload');
    const path = `${await client.start('app')}&digest=${digest}`;
    const upload = request(new URL(path, url), { method: 'PUT', headers: { 'Content-Length': 'slow upload'.length } });
    upload.write('slow ');
    await client.send('GET', '/healthz'); // the upload has begun
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await assert.rejects(async () => {
      for (;;) await (await fetch(new URL('/healthz', url), { headers: { Connection: 'close' } })).text();
    });
    upload.end('upload');
    const [response] = await once(upload, 'response');
    assert.equal(response.statusCode, 201);
    response.resume();
    assert.deepEqual(await exited, [0, null]);
  });

  it('serve counts signals within a second as one, and exits at once on a later one', async () => {
    const { child, url } = await serve();
    const client = new V2Client(url);
    const path = `${await client.start('app')}&digest=${digestOf('slow upload')}`;
    const upload = request(new URL(path, url), { method: 'PUT', headers: { 'Content-Length': 'slow upload'.length } });
    upload.on('error', () => undefined); // the connection is cut
    upload.write('slow ');
    await client.send('GET', '/healthz'); // the upload has begun
    const exited = once(child, 'exit');
    child.kill('SIGINT');
    child.kill('SIGTERM');
    await delay(1500);
    assert.equal(child.exitCode, null);
    child.kill('SIGTERM');
    assert.deepEqual(await exited, [1, null]);
  });
});
