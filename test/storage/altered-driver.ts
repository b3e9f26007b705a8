import type { StorageDriver } from '../../lib/storage/driver.ts';

/** Optional methods that read and delete: without them, callers use `read` and `delete`. */
const COMBINED = ['deleteIf', 'deleteMany'];

/**
 * A driver with some methods replaced. `methods` gets the original driver, so that they can call it. Where `read` or `delete` is
 * replaced, no other method reads or deletes small objects.
 */
export function alterDriver(
  driver: StorageDriver,
  methods: (original: StorageDriver) => Partial<StorageDriver>,
): StorageDriver {
  const altered = methods(driver);
  return new Proxy(driver, {
    get(target, name) {
      if (COMBINED.includes(String(name)) && !(name in altered) && (altered.read || altered.delete)) return undefined;
      const value = Reflect.get(name in altered ? altered : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
