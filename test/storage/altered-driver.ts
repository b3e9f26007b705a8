import type { StorageDriver } from '../../lib/storage/driver.ts';

/** A driver with some methods replaced. `methods` gets the original driver, so that they can call it. */
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
