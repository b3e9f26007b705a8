// Node's own `spec` report, closed by one line that scripts and people can rely on: `12 passed, 0 failed`.
import { PassThrough } from 'node:stream';
import { spec, type TestEvent } from 'node:test/reporters';

export default async function* reporter(events: AsyncIterable<TestEvent>): AsyncGenerator<string | Buffer> {
  let passed = 0;
  let failed = 0;
  const input = new PassThrough({ objectMode: true });
  const report = input.pipe(new spec());
  const feeding = (async () => {
    for await (const event of events) {
      // A file and a `describe` are reported like tests, but are none.
      if (event.type === 'test:pass' && event.data.details.type !== 'suite') passed += 1;
      if (event.type === 'test:fail' && event.data.details.type !== 'suite') failed += 1;
      input.write(event);
    }
    input.end();
  })();
  yield* report;
  await feeding;
  yield `\n${passed} passed, ${failed} failed\n`;
}
