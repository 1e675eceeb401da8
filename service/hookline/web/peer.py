"""The peer: from where a request comes, by its socket, or by what proxies say that the settings trust."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.requests import Request

from hookline.source_settings import Network

Address = IPv4Address | IPv6Address


class Proxies:
    """The proxies whose `X-Forwarded-For` is believed: each adds, at the end, who has talked to it."""

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = trusted

    def is_from(self, request: Request, networks: Sequence[Network]) -> bool:
        """Whether `request` comes from one of `networks`; never if nobody knows, as over a Unix socket."""
        address = self._origin(request)
        return address is not None and _is_in(address, networks)

    def origin(self, request: Request) -> str | None:
        """Where `request` comes from, for people; `None` if nobody knows."""
        address = self._origin(request)
        return None if address is None else str(address)

    def _origin(self, request: Request) -> Address | None:
        """The last address that none of them has; if all are theirs the first; `None` if one on the way is none."""
        address = None if request.client is None else _address(request.client.host)
        if address is None or not _is_in(address, self._trusted):
            return address
        forwarded = request.headers.getlist("x-forwarded-for")
        for hop in reversed(",".join(forwarded).split(",") if forwarded else ()):
            address = _address(hop.strip())
            if address is None or not _is_in(address, self._trusted):
                return address
        return address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)


@lru_cache(maxsize=1024)
def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
