import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '../../lib/model/log.ts';

describe('a line of the log', () => {
  const lines: string[] = [];
  const log = createLog('warning', (line) => lines.push(line) > 0);

  it('has the fields by which Lambda filters, with the levels that Lambda knows', () => {
    log.debug('not written');
    log.info('not written');
    log.warning('a warning', { key: 'value' });
    log.error('an error', { error: new Error('why') });
    log.critical('the end');
    log.audit({ who: 'alice' });
    const entries = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(
      entries.map(({ level, message }) => [level, message]),
      [
        ['warn', 'a warning'],
        ['error', 'an error'],
        ['fatal', 'the end'],
        ['info', 'audit'],
      ],
    );
    for (const { timestamp } of entries) {
      assert.match(String(timestamp), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'RFC 3339');
    }
    assert.ok(lines.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1));
  });
});
