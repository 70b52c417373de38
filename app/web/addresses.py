"""Where a request comes from, as it is counted."""

from ipaddress import IPv6Address, ip_address, ip_network


def network_of(text: str | None) -> str:
    """Return an address; of IPv6 the network, because one machine has all of a /64."""
    try:
        ip = ip_address(text or "")
    except ValueError:
        return "unknown"
    if not isinstance(ip, IPv6Address):
        return str(ip)
    # A socket that serves both kinds writes 203.0.113.7 as ::ffff:203.0.113.7.
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ip_network((ip, 64), strict=False).network_address)
