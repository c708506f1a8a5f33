# shellcheck shell=bash
# What tests of network and process faults do besides: source it after net.sh.

. "$(dirname "${BASH_SOURCE[0]}")/members.sh"

RANDOM=${SEED:=$((RANDOM))} # what is chosen at random is chosen again by the same SEED
echo "SEED=$SEED"

# Nobody answers at this node: no epoch runs, or no lease.
must_refuse() { holds "$1" 'not serves(s[0])' "$2"; }   # seconds, node

# The nodes, and no others, are one view, and stay it for so long.
must_stay()   # seconds, nodes...
{
    local seconds=$1 before
    shift
    before=$(epoch_of "$1")
    sleep "$seconds"
    group_is "$@" && [ "$(epoch_of "$1")" = "$before" ] || fail "view $before of $* does not last: $(describe)"
}

# How many views have followed an epoch, at a node.
views_since() { echo $(($(epoch_of "$2") - $1)); }   # epoch, node

views_at_most()   # count, epoch, node
{
    local count
    count=$(views_since "$2" "$3")
    [ "$count" -le "$1" ] || fail "$count views, at most $1 may follow: $(describe)"
}

# --- processes ---

# Processor time of the process that serves, hundredths of a second.
ticks_of() { sed 's/.*) //' "/proc/$(worker_pid "$1")/stat" | awk '{ print $12 + $13 }'; }   # node

stopped()   # node: all its processes are
{
    local p
    for p in $(replica_pids "$1"); do [ "$(sed 's/.*) //' "/proc/$p/stat" | cut -c1)" = T ] || return 1; done
}

pause_begin()   # nodes...
{
    local n
    for n in "$@"; do replica_pause "$n"; done
    for n in "$@"; do wait_until 5 stopped "$n" || fail "replica $n does not stop"; done
}

pause_end() { local n; for n in "$@"; do stopped "$n" || fail "replica $n was not stopped"; replica_continue "$n"; done; }

# A worker that is not this one, nor the supervisor just before it is one.
another_worker()   # node, process id
{
    local now
    now=$(worker_pid "$1")
    [ "$now" != "$2" ] && [ "$now" != "$(replica_pid "$1")" ]
}

killed_by_9()   # node, times: its supervisor has seen it
{
    [ "$(grep -c 'was killed by signal 9' "$work/r$1/log")" -ge "$2" ]
}

descriptors() { ls "/proc/$(worker_pid "$1")/fd" | wc -l; }   # node: how many its worker has

resident_kb() { awk '/^VmRSS/ { print $2 }' "/proc/$(worker_pid "$1")/status"; }   # node: of its worker

# --- somebody who does not keep to the protocol: see hostile.h ---

# Sets hostile_closed: how many connections the node has to have counted as strangers'.
hostile()   # kind, node, another member
{
    # shellcheck disable=SC2046
    $(place_of client) timeout 60 "$build/tests/cluster/hostile" "$1" "$(address "$2")" "$(address "${3:-$(($2 % replicas + 1))}")" $((SEED + $2)) \
        >"$work/hostile.out" 2>"$work/hostile.log" || fail "$1 at node $2: $(cat "$work/hostile.log")"
    hostile_closed=$(sed -n 's/ closed$//p' "$work/hostile.out")
}
