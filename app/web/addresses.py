"""Where a request comes from, as it is counted."""

import ipaddress


def network_of(text: str | None) -> str:
    """Return an address; of IPv6 the network, because one machine has all of a /64."""
    try:
        ip = ipaddress.ip_address(text or "")
    except ValueError:
        return "unknown"
    if ip.version == 4:
        return str(ip)
    return str(ipaddress.ip_network((ip, 64), strict=False).network_address)
