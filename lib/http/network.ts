import { isIPv6 } from 'node:net';

/** Digits of 16 bits each in an address, and in the part of it that tells networks apart. */
const GROUPS = 8;
const GROUPS_OF_NETWORK = 4;

/**
 * What an address is counted as: an IPv4 address itself, of IPv6 the first 64 bits, since a network of that size is the least
 * that anybody gets, and one machine may use all of its addresses. What is no address stands for itself.
 * @see https://www.rfc-editor.org/rfc/rfc4291#section-2.5.4
 */
export function networkOf(address: string): string {
  const [plain = ''] = address.split('%', 1);
  if (!isIPv6(plain)) return address;
  // Where a socket takes both, IPv4 addresses come as `::ffff:192.0.2.1`.
  if (plain.includes('.')) return plain.slice(plain.lastIndexOf(':') + 1);
  const [start, end] = plain.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const groups = [...(start ?? [])];
  if (end) groups.push(...Array<string>(GROUPS - groups.length - end.length).fill('0'), ...end);
  const network = groups.slice(0, GROUPS_OF_NETWORK).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
