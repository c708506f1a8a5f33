#!/usr/bin/env python3
"""Names, paths, values and trees at their limits and beyond, in a mounted directory.

usage: oversized.py DIRECTORY

What is too large has to be refused by its own errno and change nothing; what is just small enough
has to work. Exit code: 0 all was so; 1 something was not.
"""
import errno
import os
import sys

DEPTH = 1000


def fail(text):
    sys.exit("oversized: " + text)


def refused(wanted, what, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        if error.errno != wanted:
            fail("%s: %s instead of %s" % (what, errno.errorcode[error.errno], errno.errorcode[wanted]))
        return
    fail("%s: is taken" % what)


def names():
    longest, beyond = "n" * 255, "n" * 256
    os.mkdir(longest)
    os.rename(longest, "m" * 255)
    with open("file", "w"):
        pass
    os.link("file", longest)
    for what, call, arguments in [
            ("mkdir", os.mkdir, (beyond,)), ("open", os.open, (beyond, os.O_CREAT | os.O_WRONLY)),
            ("mknod", os.mknod, (beyond,)), ("symlink", os.symlink, ("x", beyond)),
            ("link", os.link, ("file", beyond)), ("rename", os.rename, ("file", beyond)),
            ("rename from", os.rename, (beyond, "x")), ("unlink", os.unlink, (beyond,)),
            ("rmdir", os.rmdir, (beyond,)), ("stat", os.stat, (beyond,))]:
        refused(errno.ENAMETOOLONG, what, call, *arguments)
    refused(errno.ENAMETOOLONG, "a path of 4096", os.stat, "./" * 2048)
    os.stat("./" * 2047)
    os.symlink("t" * 4095, "symlink")
    if os.readlink("symlink") != "t" * 4095:
        fail("a target of 4095 reads back otherwise")
    refused(errno.ENAMETOOLONG, "a target of 4096", os.symlink, "t" * 4096, "symlink2")
    if sorted(os.listdir(".")) != sorted(["m" * 255, "n" * 255, "file", "symlink"]):
        fail("names that were refused are there, or others are not")


def attributes():
    os.setxattr("file", "user." + "a" * 250, b"1")
    os.setxattr("file", "user.large", b"v" * 65536)
    refused(errno.ERANGE, "a name of 256", os.setxattr, "file", "user." + "a" * 251, b"1")
    refused(errno.E2BIG, "a value of 65537", os.setxattr, "file", "user.larger", b"v" * 65537)
    count = 0
    try:
        for count in range(1000):
            os.setxattr("file", "user.%04d" % count + "b" * 246, b"")
        fail("names of %d bytes are taken" % (count * 255))
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.E2BIG):
            fail("too many names: " + errno.errorcode[error.errno])
    if len(os.listxattr("file")) != count + 2 or os.getxattr("file", "user.large") != b"v" * 65536:
        fail("attributes are not as they were")


def depth():
    top = os.getcwd()
    for i in range(DEPTH):
        os.mkdir("deeper")
        os.chdir("deeper")
    with open("bottom", "w") as bottom:
        bottom.write("here")
    for i in range(DEPTH):
        os.chdir("..")
    if not os.path.samefile(".", top):
        fail("the way up is not the way down")
    refused(errno.ENAMETOOLONG, "a deep path", os.stat, "deeper/" * DEPTH + "bottom")


def main():
    os.chdir(sys.argv[1])
    names()
    attributes()
    depth()


if __name__ == "__main__":
    main()
