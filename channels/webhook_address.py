"""Which addresses a webhook may go to: what somebody typed into a form must not reach our inside.

    address typed ──► https, a host, no password, a port that web servers use      when it is sent
    address reached ──► a socket is made for public IP addresses only              when it connects

The second is what counts. A name says something else each time it is asked, so a check of the name
proves nothing; the connection asks here for its socket, with the very address that it will connect
to, for every address that it tries. In a closed network (`allow_private`) both are left out.
Source: reliability.md (SSRF: check at connect by `socket_factory`, measured 10 of 10 blocked).
"""

import ipaddress
from errno import EACCES
from socket import socket
from typing import Any

from aiohttp import ClientConnectorError, ClientSSLError
from yarl import URL

from channels.errors import ChannelError, ErrorClass, PermanentFailure
from channels.http_client import fault_of

NOT_PUBLIC = "the address is not public"
"""What the socket says when it refuses to be made."""
HTTPS_PORT = 443
PORT_MIN = 1024
"""Below are mail servers, shells and the like, to which a request may be a command."""

_ROUTED_IPV6 = ipaddress.ip_network("2000::/3")
"""All that is given out of IPv6; the rest is local, reserved or wraps something."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""How a network without IPv4 reaches an IPv4 address: it is the one inside that counts."""
_TUNNELS = (ipaddress.ip_network("2002::/16"), ipaddress.ip_network("2001::/32"))
"""IPv6 ranges that lead to an IPv4 address inside them, through somebody else."""
_RELAY = ipaddress.ip_network("192.88.99.0/24")
"""Where such tunnels begin."""


def endpoint_url(address: str, *, allow_private: bool) -> URL:
    """Return the address to post to. Raises PermanentFailure when it is not one."""
    try:
        url = URL(address)
        usable = _usable(url, allow_private=allow_private)
    except ValueError:
        usable = False
    if not usable:
        raise PermanentFailure(
            "not an https address", code="invalid_url", error_class=ErrorClass.BAD_NUMBER
        )
    return url


def _usable(url: URL, *, allow_private: bool) -> bool:
    if not (url.host or "").strip(".") or url.user is not None or url.password is not None:
        return False
    if allow_private:
        return url.scheme in ("http", "https")
    return url.scheme == "https" and (url.port == HTTPS_PORT or (url.port or 0) >= PORT_MIN)


def public_socket(address: Any) -> socket:
    """Return a socket for a resolved address, or refuse to make one for a private address."""
    family, kind, protocol, _, where = address
    if not is_public(str(where[0])):
        raise PermissionError(EACCES, NOT_PUBLIC)
    return socket(family, kind, protocol)


def is_public(host: str) -> bool:
    """Return whether an IP address is one that anybody on the internet can be behind."""
    ip = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _inside(ip)
        if inner is not None:
            return is_public(str(inner))
        if ip not in _ROUTED_IPV6 or any(ip in network for network in _TUNNELS):
            return False
    elif ip in _RELAY:
        return False
    return ip.is_global and not ip.is_multicast


def _inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None


def connection_fault(error: ClientConnectorError) -> ChannelError:
    """Return what it means that no connection was made to one endpoint of many."""
    if error.os_error.strerror == NOT_PUBLIC:
        return PermanentFailure(NOT_PUBLIC, code="private", error_class=ErrorClass.BAD_NUMBER)
    if isinstance(error, ClientSSLError):  # its certificate is its own, and no fault of ours
        return PermanentFailure(
            "the secure connection was refused", code="tls", error_class=ErrorClass.UNROUTABLE
        )
    return fault_of(error)
