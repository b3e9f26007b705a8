import assert from 'node:assert/strict';
import { test } from 'node:test';
import { firstCommands } from '../../../lib/commands/support/greeting.ts';
import { loadKeys } from '../../config/load-text.ts';

const commandsOf = (address: string, keys: Record<string, unknown> = {}) =>
  firstCommands(new URL(address), loadKeys(keys).config);

const USERS = { htpasswd: './users' };

test('an open registry greets with a push to the host where it listens', () => {
  for (const [address, host] of [
    ['http://127.0.0.1:5000', 'localhost:5000'],
    ['http://0.0.0.0:5000', 'localhost:5000'],
    ['http://[::]:5000', 'localhost:5000'],
    ['https://192.0.2.1:5443', '192.0.2.1:5443'],
  ] as const) {
    assert.deepEqual(commandsOf(address).slice(1), [
      `docker tag alpine ${host}/alpine`,
      `docker push ${host}/alpine`,
      `docker pull ${host}/alpine`,
    ]);
  }
});

test('the host of public_url takes the place of the address', () => {
  const commands = commandsOf('http://0.0.0.0:5000', { public_url: 'https://registry.example.com' });
  assert.ok(commands.includes('docker push registry.example.com/alpine'));
});

test('a registry greets with a login where callers without one may not push and pull', () => {
  const rule = (actions: string) => ({ repositories: '*', users: 'anonymous', actions });
  for (const access of [undefined, [rule('pull')], [rule('push')]]) {
    const commands = commandsOf('http://127.0.0.1:5000', { auth: USERS, ...(access && { access }) });
    assert.deepEqual(commands, ['docker login localhost:5000']);
  }
  assert.equal(commandsOf('http://127.0.0.1:5000', { auth: USERS, access: [rule('*')] }).length, 4);
});
