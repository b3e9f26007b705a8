import { isIPv6 } from 'node:net';

/** Groups of 16 bits in an IPv6 address, and in its network prefix. */
const GROUPS = 8;
const GROUPS_OF_NETWORK = 4;

/**
 * The network by which clients are counted: an IPv4 address, or the first 64 bits of an IPv6 address, since the smallest network
 * that is assigned has 64 bits and one machine may use all its addresses. A text that is no address is returned as it is.
 * @see https://www.rfc-editor.org/rfc/rfc4291#section-2.5.4
 */
export function networkOf(address: string): string {
  const [plain = ''] = address.split('%', 1);
  // The first call of `isIPv6` takes Node 4 ms.
  if (!plain.includes(':') || !isIPv6(plain)) return address;
  // A socket for IPv6 and IPv4 reports IPv4 addresses as `::ffff:192.0.2.1`.
  if (plain.includes('.')) return plain.slice(plain.lastIndexOf(':') + 1);
  const [start, end] = plain.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const groups = [...(start ?? [])];
  if (end) groups.push(...Array<string>(GROUPS - groups.length - end.length).fill('0'), ...end);
  const network = groups.slice(0, GROUPS_OF_NETWORK).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
