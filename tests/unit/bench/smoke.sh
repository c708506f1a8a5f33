#!/bin/sh
# The benchmarks do what they say: every phase runs, nothing is left behind, wrong usage is refused.
# usage: smoke.sh BENCH ORDER BASELINE
set -eu
bench=$1 order=$2 baseline=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "smoke: $*" >&2; }
fail() { say "$*"; exit 1; }
# expect CODE COMMAND...: runs it, output to $work.out and $work.err
expect() {
    wanted=$1
    shift
    code=0
    "$@" >"$work/out" 2>"$work/err" || code=$?
    [ "$code" = "$wanted" ] || { cat "$work/err" >&2; fail "exit code $code, not $wanted: $*"; }
}

mkdir "$work/d"
expect 0 "$bench" -n 20 -p 3 -i 2 -N 1 -w 5000 -e 4999 -d "$work/d"
for phase in "Tree creation" "Directory creation" "Directory stat" "Directory removal" \
    "File creation" "File stat" "File read" "File removal" "Tree removal"; do
    [ "$(grep -c "$phase" "$work/out")" = 2 ] || fail "$phase is not in both tables"
done
expect 0 "$bench" -n 5 -p 2 -u -F -d "$work/d"
grep -q "Directory" "$work/out" && fail "-F made directories"
expect 0 "$bench" -n 5 -D -d "$work/d" --json
grep -q '"operations": 5' "$work/out" || fail "--json: five operations a phase"
[ -z "$(ls -A "$work/d")" ] || fail "something was left behind"

mkdir "$work/d/test-dir.0"
expect 1 "$bench" -n 5 -d "$work/d"
grep -q "File exists" "$work/err" || fail "the cause is not named"
expect 1 "$bench" -n 5 -d "$work/none"
expect 2 "$bench" -n 0 -d "$work/d"
expect 2 "$bench" -n 5
expect 2 "$bench" -n 5 -F -D -d "$work/d"
expect 2 "$bench" -n 5 -w 1 -e 2 -d "$work/d"
expect 2 "$bench" -n 5 --inflight 4 -d "$work/d"
expect 0 "$bench" --help

mkdir "$work/o"
expect 0 "$order" -s 100ms -w 20ms -m all -m subset,ack -D memory,disk -d "$work/o" --json
[ "$(grep -c '"count": [1-9]' "$work/out")" = 4 ] || fail "order: four runs with messages"
expect 0 "$order" -s 100ms -w 20ms -m all -n 1
expect 0 "$order" -s 100ms -w 20ms -m all -r 500 -S 1
[ -z "$(ls -A "$work/o")" ] || fail "order left something behind"
expect 2 "$order" -m nothing
expect 2 "$order" -D disk
expect 2 "$order" -n 2 -S 3
expect 1 "$order" -D disk -d "$work/none" -m all
expect 0 "$order" --help

expect 0 "$baseline" -s 50ms -d "$work/o" --json
[ "$(grep -c '"count": [1-9]' "$work/out")" = 2 ] || fail "baseline: two rows"
[ -z "$(ls -A "$work/o")" ] || fail "baseline left something behind"
expect 2 "$baseline" --bytes 0
