import type { StorageDriver } from '../../lib/storage/driver.ts';

/** A driver of which some methods do something else first, or instead. */
export function alterDriver(
  driver: StorageDriver,
  methods: (original: StorageDriver) => Partial<StorageDriver>,
): StorageDriver {
  const altered = methods(driver);
  return new Proxy(driver, {
    get(target, name) {
      const value = Reflect.get(name in altered ? altered : target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
