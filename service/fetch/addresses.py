"""Addresses that nothing is fetched from: links to the machine itself give away its credentials.

Clouds hand them out on link-local and a few other fixed addresses. Private networks are not among
them, because a store of artifacts often is in one.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from service.fetch.refused import CannotFetch

__all__ = ["check_address", "check_host"]

METADATA_NAMES = frozenset({
    "instance-data", "instance-data.ec2.internal", "metadata", "metadata.goog",
    "metadata.google.internal",
})  # fmt: skip
METADATA = tuple(
    map(
        ip_network,
        (
            "100.100.100.200/32",  # Alibaba
            "168.63.129.16/32",  # Azure
            "192.0.0.192/32",  # Oracle
            "fd00:ec2::254/128",  # Amazon
            "fd20:ce::254/128",  # Google
        ),
    )
)
NAT64 = ip_network("64:ff9b::/96")


def check_host(host: str) -> None:
    """Refuse a host by its name, or by the address that it is written as.

    Raises
    ------
    CannotFetch
    """
    if host.rstrip(".").lower() in METADATA_NAMES:
        raise CannotFetch(f"{host} is a metadata service, which holds no artifacts.")
    try:
        address = ip_address(host.partition("%")[0])  # what follows says by which link
    except ValueError:  # a name: what it stands for is checked when it has been looked up
        return
    check_address(address)


def check_address(address: IPv4Address | IPv6Address) -> None:
    """Refuse an address that a host stands for.

    Raises
    ------
    CannotFetch
    """
    for each in (address, *_inside(address)):
        metadata = any(each.version == net.version and each in net for net in METADATA)
        if metadata or each.is_link_local or each.is_multicast or each.is_unspecified:
            raise CannotFetch(
                f"{address} is a link-local or metadata address, where no artifacts are."
            )


def _inside(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The addresses of version 4 that one of version 6 carries."""
    if isinstance(address, IPv4Address):
        return []
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]
