#!/usr/bin/env python3
"""Who may include whom, as a table; and which folder may use which
library. Fails on every #include that is not in it."""
import re
import sys

import tree

# Folder: (folders that it may include beside itself, libraries).
TABLE = {
    "base": ((), ("xxhash", "uthash")),
    "proto": (("base",), ()),
    "net": (("base",), ("uv", "openssl")),
    "rdma": (("net", "base"), ("infiniband", "rdma")),
    "gcs-fastdelivery": (("base", "net"), ()),
    "store": (("base",), ("leveldb", "bsd")),
    "mds": (
        ("gcs-fastdelivery", "store", "net", "proto", "base"),
        ("ini", "microhttpd", "jansson", "systemd", "bsd"),
    ),
    "client": (("net", "proto", "base"), ("fuse3", "fuse", "fuse_lowlevel", "jansson", "bsd")),
    "bench": (
        ("client", "gcs-fastdelivery", "store", "net", "rdma", "base"),
        ("leveldb", "jansson", "mpi", "corosync"),
    ),
}

# Arrows of single files, beyond or within the table.
EXTRA = {"mds/main.c": ("rdma",), "client/tutti.c": ("rdma",)}  # they choose the transport
ONLY = {
    "bench": {"client": ("client/tutti.h",)},  # the public header, no other
}
# The pure half of gcs-fastdelivery reaches net/ only through what gcs.h declares.
NET_IN_GCS = ("gcs-fastdelivery/gcs.h", "gcs-fastdelivery/example.c", "gcs-fastdelivery/gcs.c")
PURE_OF_DRIVER = re.compile(r"gcs-fastdelivery/driver\w*\.[ch]$")
FUSE_FILES = re.compile(r"client/(fuse|mount)\w*\.[ch]$")

KNOWN_LIBRARIES = re.compile(
    r"(uv|openssl|infiniband|rdma|leveldb|ini|microhttpd|jansson|systemd|fuse3|fuse|fuse_lowlevel"
    r"|xxhash|uthash|bsd|mpi|corosync|criterion)(?:\.h|/)"
)
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)


def own_header(name, folder, path):
    """What is wrong with `#include "path"` in file `name`; None: nothing."""
    if "/" not in path:
        return "write includes from the top: \"%s/%s\"" % (folder, path)
    target = path.split("/")[0]
    if target == folder:
        return None
    if target not in TABLE[folder][0] + EXTRA.get(name, ()):
        return "%s may not include %s" % (folder, target)
    only = ONLY.get(folder, {}).get(target)
    if only and path not in only:
        return "%s may include of %s only %s" % (folder, target, ", ".join(only))
    if folder == "gcs-fastdelivery" and target == "net":
        if name not in NET_IN_GCS and not PURE_OF_DRIVER.match(name):
            return "the core of gcs-fastdelivery knows no net"
    return None


def library_header(name, folder, path):
    """The same for `#include <path>`."""
    match = KNOWN_LIBRARIES.match(path)
    if not match:
        return None
    if match[1] not in TABLE[folder][1]:
        return "%s may not use %s" % (folder, match[1])
    if match[1].startswith("fuse") and not FUSE_FILES.match(name):
        return "libfuse is for the mount alone"
    return None


def check(name, text):
    folder = name.split("/")[0]
    if folder not in TABLE:
        return
    for match in INCLUDE.finditer(text):
        wrong = (own_header if match[1] == '"' else library_header)(name, folder, match[2])
        if wrong:
            yield "%s:%d: %s" % (name, text.count("\n", 0, match.start()) + 1, wrong)


def self_test():
    """The check finds what it is for."""
    bad = [
        ("base/x.c", '#include "net/transport.h"\n'),
        ("proto/x.c", '#include "codec.h"\n'),
        ("net/x.h", '# include "mds/replica.h"\n'),
        ("store/x.c", "#include <uv.h>\n"),
        ("gcs-fastdelivery/core.c", '#include "net/transport.h"\n'),
        ("gcs-fastdelivery/core.c", "#include <uthash.h>\n"),
        ("mds/x.c", '#include "client/session.h"\n'),
        ("client/session.c", "#include <fuse_lowlevel.h>\n"),
        ("client/session.c", '#include "store/store.h"\n'),
        ("bench/x.c", '#include "client/session.h"\n'),
    ]
    good = [
        ("base/x.c", '#include "base/must.h"\n#include <stdio.h>\n#include <xxhash.h>\n'),
        ("gcs-fastdelivery/driver.c", '#include "net/transport.h"\n'),
        ("bench/x.c", '#include "client/tutti.h"\n'),
        ("mds/main.c", '#include "rdma/rdma.h"\n'),
    ]
    for name, text in bad:
        assert len(list(check(name, text))) == 1, (name, text)
    for name, text in good:
        assert not list(check(name, text)), (name, text)


def main():
    self_test()
    count, found = 0, []
    for name in tree.files():
        if name.endswith((".c", ".h")):
            count += 1
            found += check(name, tree.read(name))
    print("\n".join(found + ["%d files, %d wrong arrows" % (count, len(found))]))
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
