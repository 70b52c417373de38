"""Which addresses of a network are public."""

import ipaddress

# IPv6 prefixes that carry an IPv4 address: RFC 6052 (NAT64) and RFC 3056 (6to4).
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(text: str) -> bool:
    """Tell whether this address is one of the public internet, also when it is IPv4 in IPv6."""
    address: Address = ipaddress.ip_address(text.partition("%")[0])
    inner = _inner_ipv4(address)
    if inner is not None and not is_public(str(inner)):
        return False
    is_mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    return (address.is_global or is_mapped) and not address.is_multicast


def _inner_ipv4(address: Address) -> ipaddress.IPv4Address | None:
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour
