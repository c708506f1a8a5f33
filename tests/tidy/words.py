#!/usr/bin/env python3
"""What has no place in a committed file: notes to oneself, and paths of somebody's machine."""
import os
import sys

import re
import tree

# Case counts in the first, not in the second.
NOTES = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
PHRASES = re.compile(r"\b(for no" r"w|temporary ha" r"ck|quick ha" r"ck)\b", re.I)
PATHS = re.compile(r"(?<![\w.])/(wo" r"rk|ro" r"ot|home/\w+)/")
BINARY = (".png", ".gz", ".zst", ".bin")


def check(name, text):
    for number, line in enumerate(text.split("\n"), 1):
        for pattern in (NOTES, PHRASES, PATHS):
            match = pattern.search(line)
            if match:
                yield '%s:%d: "%s"' % (name, number, match[0])


def self_test():
    bad = ["/* TO" "DO: later */", "x; // FIX" "ME", "good enough for no" "w", "see /wo" "rk/x", "a HA" "CK"]
    good = ["mktemp -d dir-XXXXXX", "the todo list", "network/root/x", "what they ask for nowadays"]
    for line in bad:
        assert len(list(check("x", line))) == 1, line
    for line in good:
        assert not list(check("x", line)), line


def main():
    self_test()
    count, found = 0, []
    for name in tree.files():
        if name == "LICENSE" or name.endswith(BINARY) or os.path.join("fuzz", "corpus") in name:
            continue
        count += 1
        found += check(name, tree.read(name))
    print("\n".join(found + ["%d files, %d findings" % (count, len(found))]))
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
