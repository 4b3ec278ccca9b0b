"""The Node.js binaries that lambkin has on this machine, as a source for servers that must not reach any network."""

import functools
import subprocess

from server import binary, runtimes_options


def table(*options):
    """`lambkin runtimes list`: {runtime: (version, path or None)}, runtimes without a build left out."""
    done = subprocess.run([binary(), "runtimes", "list", *options], capture_output=True, text=True, timeout=120, check=True)
    found = {}
    for line in done.stdout.splitlines():
        runtime, state, *rest = line.split("\t")
        if state.startswith("Node.js "):
            found[runtime] = (state.removeprefix("Node.js "), rest[1] if rest[0] == "installed" else None)
    return found


@functools.cache
def installed(runtime):
    """(version, path) of a runtime in the tests' cache, fetched where it is not there yet."""
    options = runtimes_options()
    if table(*options)[runtime][1] is None:
        subprocess.run([binary(), "runtimes", "install", runtime, *options], timeout=900, check=True)
    return table(*options)[runtime]
