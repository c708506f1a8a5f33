#!/usr/bin/env python3
"""Count what a meson test run did: passed, failed, skipped.

usage: count.py BUILD/meson-logs/testlog.json [SANITIZER-REPORT-PREFIX]

One Criterion executable is many tests; its summary line ("Synthesis") is what counts, and its skips,
which that line leaves out, are counted from the lines above it. Any other test is one. A file that
a sanitizer wrote (SANITIZER-REPORT-PREFIX.*) is a failure: Criterion passes a test whose child leaks.
"""
import glob
import json
import re
import sys

SYNTHESIS = re.compile(r"Tested:\s*(\d+).*?Passing:\s*(\d+).*?Failing:\s*(\d+).*?Crashing:\s*(\d+)")
COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def count(entry):
    text = COLOUR.sub("", entry.get("stdout", "") + "\n" + entry.get("stderr", ""))
    result = entry["result"]
    found = SYNTHESIS.search(text)
    if found:
        _, passing, failing, crashing = map(int, found.groups())
        failed = failing + crashing
        if result not in ("OK", "SKIP") and not failed:
            failed = 1
        return passing, failed, len(re.findall(r"^\[SKIP\]", text, re.M))
    if result == "OK":
        return 1, 0, 0
    if result == "SKIP":
        return 0, 0, 1
    return 0, 1, 0


def main():
    passed = failed = skipped = 0
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            p, f, s = count(json.loads(line))
            passed, failed, skipped = passed + p, failed + f, skipped + s
    if len(sys.argv) > 2:
        for report in sorted(glob.glob(sys.argv[2] + ".*")):
            failed += 1
            with open(report, encoding="utf-8", errors="replace") as text:
                print(f"sanitizer report {report}:\n" + "".join(text.readlines()[:40]), file=sys.stderr)
    print(passed, failed, skipped)
    return 0


if __name__ == "__main__":
    sys.exit(main())
