// Loaded into each test process. `node:test` learns by hooks on every promise which test an error or a nested `after` belongs to, and
// they take two fifths of the processor time. An AsyncLocalStorage says it too, and costs promises nothing.
// https://github.com/nodejs/node/blob/v24.x/lib/internal/test_runner/harness.js
import hooks, { AsyncLocalStorage, AsyncResource, createHook, executionAsyncId } from 'node:async_hooks';

/** The async id of the test that runs. */
const running = new AsyncLocalStorage<number>();
const tests = new WeakSet<object>();
const { runInAsyncScope } = AsyncResource.prototype;

Object.assign(AsyncResource.prototype, {
  runInAsyncScope(this: AsyncResource, task: (...args: unknown[]) => unknown, thisArg: unknown, ...args: unknown[]) {
    const id = this.asyncId();
    const inTest = (...given: unknown[]) => running.run(id, () => task.apply(thisArg, given));
    return runInAsyncScope.call(this, tests.has(this) ? inTest : task, thisArg, ...args);
  },
});

/** Only tests, suites and their hooks are of the type `Test`. They stay known when they have ended: an error may come late. */
const createTestHook: typeof createHook = ({ init }) =>
  createHook({
    trackPromises: false,
    init(id, type, trigger, resource) {
      if (type !== 'Test') return;
      tests.add(resource);
      init?.(id, type, trigger, resource);
    },
  });

// `node:test` takes the functions that are here when it is loaded first.
Object.assign(hooks, { createHook: createTestHook, executionAsyncId: () => running.getStore() ?? executionAsyncId() });
await import('node:test');
Object.assign(hooks, { createHook, executionAsyncId });
