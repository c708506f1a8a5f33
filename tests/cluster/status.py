#!/usr/bin/env python3
"""Ask replicas' statuses something: JSON objects on stdin, a line each, as the list `s`.

usage: status.py EXPRESSION

Prints the value of the Python expression; exit code 1 where it is false or cannot be had.
"""
import json
import sys


def parse(line):
    try:
        return json.loads(line)
    except ValueError:
        return {"state": line.strip()}


def main():
    s = [parse(line) for line in sys.stdin if line.strip()]
    s = [one for answer in s for one in (answer if isinstance(answer, list) else [answer])]
    try:
        value = eval(sys.argv[1], {"s": s})
    except (KeyError, IndexError, TypeError) as error:
        print("no answer: %r" % error, file=sys.stderr)
        return 1
    print(value)
    return 0 if value else 1


if __name__ == "__main__":
    sys.exit(main())
