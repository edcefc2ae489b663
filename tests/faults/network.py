"""Test hosts of our own: network namespaces on one bridge, to be cut off from one another.

    with network("db", "w1", "w2") as net:
        net["db"].prefix                       ["ip", "netns", "exec", …]: goes before a command
        net["w1"].cut_off(net["db"])           every packet between them is dropped, both ways
        net["w1"].heal()

Everything is in namespaces that this makes and removes, also when a test fails; the only thing
outside them is one end of a cable, so that the test itself can look. Packets are dropped by
nftables on the host that is cut off. It needs root, iproute2 and nftables; `missing()` says what is
not there.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

NET = "10.213.0"
"""Hosts have addresses from .10 on, the carrier .100 to .140, the test itself .1."""
FIRST_HOST = 10
CARRIER_ADDRESSES = range(100, 141)


class Host:
    """One namespace with an address."""

    def __init__(self, name: str, namespace: str, address: str) -> None:
        self.name, self.namespace, self.address = name, namespace, address
        self.prefix = ["ip", "netns", "exec", namespace]

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a command on this host."""
        return _run(*self.prefix, *command, text=text)

    def cut_off(self, *others: "Host") -> None:
        """Drop everything to and from these hosts, without a word to either side."""
        rules = "".join(
            f"add rule inet cut {chain} ip {way} {other.address} drop\n"
            for other in others
            for chain, way in (("input", "saddr"), ("output", "daddr"))
        )
        self.run(
            "nft", "-f", "-",
            text="add table inet cut\n"
            "add chain inet cut input { type filter hook input priority 0 ; }\n"
            "add chain inet cut output { type filter hook output priority 0 ; }\n" + rules,
        )  # fmt: skip

    def heal(self) -> None:
        """Let everything through again."""
        self.run("nft", "delete", "table", "inet", "cut")


def missing() -> str:
    """Return why there can be no network of test hosts here, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program in ("ip", "nft", "setpriv"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    probe = f"warnsvc-probe-{os.getpid()}"
    try:
        _run("ip", "netns", "add", probe)
    except AssertionError as fault:
        return f"no network namespaces here: {fault}"
    _run("ip", "netns", "del", probe)
    return ""


@contextmanager
def network(*names: str) -> Iterator[dict[str, Host]]:
    """Make hosts that all reach one another; the one called `carrier` has many addresses."""
    with ExitStack() as stack:
        tag = f"wf{os.getpid() % 100_000}"
        hub = f"{tag}-hub"
        _add(stack, hub)
        _run("ip", "-n", hub, "link", "add", "br0", "type", "bridge")
        _run("ip", "-n", hub, "link", "set", "br0", "up")
        _plug(hub, f"{tag}t", 0)
        stack.callback(_forget_link, f"{tag}t")
        _run("ip", "addr", "add", f"{NET}.1/24", "dev", f"{tag}t")
        _run("ip", "link", "set", f"{tag}t", "up")
        hosts = {}
        for number, name in enumerate(names):
            namespace = f"{tag}-{name}"
            _add(stack, namespace)
            _plug(hub, f"{tag}h{number}", number + 1, into=namespace)
            numbers = [FIRST_HOST + number]
            if name == "carrier":
                numbers = [*CARRIER_ADDRESSES]
            for last in numbers:
                _run("ip", "-n", namespace, "addr", "add", f"{NET}.{last}/24", "dev", "eth0")
            _run("ip", "-n", namespace, "link", "set", "eth0", "up")
            _run("ip", "-n", namespace, "link", "set", "lo", "up")
            hosts[name] = Host(name, namespace, f"{NET}.{numbers[0]}")
        yield hosts


def _add(stack: ExitStack, namespace: str) -> None:
    _run("ip", "netns", "add", namespace)
    stack.callback(_forget, namespace)


def _plug(hub: str, link: str, port: int, *, into: str = "") -> None:
    """Put one end of a cable into the hub's bridge, the other into a host (or leave it here)."""
    _run("ip", "link", "add", link, "type", "veth", "peer", "name", f"p{port}", "netns", hub)
    _run("ip", "-n", hub, "link", "set", f"p{port}", "master", "br0")
    _run("ip", "-n", hub, "link", "set", f"p{port}", "up")
    if into:
        _run("ip", "link", "set", link, "netns", into, "name", "eth0")


def _forget(namespace: str) -> None:
    """Remove a namespace, and its cables with it; end what still runs in it."""
    with suppress(AssertionError):
        for pid in _run("ip", "netns", "pids", namespace).split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), 9)
    with suppress(AssertionError):
        _run("ip", "netns", "del", namespace)


def _forget_link(link: str) -> None:
    with suppress(AssertionError):
        _run("ip", "link", "del", link)


def _run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr.strip()}"
    return done.stdout
