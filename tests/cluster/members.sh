# shellcheck shell=bash
# What tests of membership and storage do besides: source it after net.sh or lib.sh.

says() { group_says "$@" >/dev/null; }

holds() { wait_until "$1" says "${@:2}" || fail "never: $2: $(describe)"; }   # seconds, expression, nodes...

# Files, so many in all, so that there is state and history of a size.
fill()   # files
{
    # shellcheck disable=SC2046
    echo "inodes $1" | $(place_of client) timeout 60 "$build/bench/failover" --replicas "$(addresses ,)" --name fill \
        >"$work/fill.out" 2>"$work/fill.log" || true # there is no round to report
    grep -q made "$work/fill.out" || fail "no files: $(tail -n 3 "$work/fill.log")"
}

# Nothing is answered here: no epoch, and the text that says for whom it waits names these nodes.
waits_for()   # node, nodes that it names...
{
    local n=$1 text
    shift
    says 'not s[0]["running"]' "$n" || return 1
    text=$(status_field "$n" waiting_for)
    for n in "$@"; do [[ $text =~ (^|[^0-9])$n([^0-9.:]|$) ]] || return 1; done
}

must_wait_for()   # seconds, node, nodes...
{
    local seconds=$1
    shift
    wait_until "$seconds" waits_for "$@" || fail "node $1 does not wait for ${*:2}: $(status_of "$1" | cut -c1-600)"
}

# Kill processes of several replicas as nearly at once as there is.
replicas_kill()   # nodes...
{
    local n pids=()
    # shellcheck disable=SC2207
    for n in "$@"; do pids+=($(replica_pids "$n")); done
    kill -9 "${pids[@]}" 2>/dev/null || true
    for n in "$@"; do wait "$(replica_pid "$n")" 2>/dev/null || true; done
    wait_until 10 gone "${pids[@]}" || fail "replicas $* do not die"
}

# What goes to the node goes at a rate (of tc: 4mbit), as over a slow line.
link_slow() { tc -n "$net-bridge" qdisc add dev "link-$1" root tbf rate "$2" burst 32k latency 400ms; }
link_fast() { tc -n "$net-bridge" qdisc del dev "link-$1" root; }

# A replica's own process ended by itself, with code 1, and said why.
must_stop()   # seconds, node, pattern of its reason
{
    local rc=0 pid
    pid=$(replica_pid "$2")
    wait_until "$1" gone "$pid" || fail "replica $2 goes on"
    wait "$pid" || rc=$?
    [ $rc = 1 ] || [ $rc = 2 ] || fail "replica $2 ended with exit code $rc: $(tail -n 2 "$work/r$2/log")"
    grep -qiE "$3" "$work/r$2/log" || fail "replica $2 does not say why it stopped: $(tail -n 3 "$work/r$2/log")"
}

# --- disks and memory with faults: see disk_fault.c, memory_fault.c ---

# Before the replica starts.
disk_faulty()   # node. A path with a space can't be preloaded, so a copy is
{
    cp "$build/tests/cluster/disk_fault.so" "$work/"
    environment_of[$1]="env LD_PRELOAD=$work/disk_fault.so DISK_FAULT=$work/fault$1 DISK_FAULT_POWER=$work/r$1/disk"
}

# Before the replica starts.
memory_faulty()   # node
{
    cp "$build/tests/cluster/memory_fault.so" "$work/"
    environment_of[$1]="env LD_PRELOAD=$work/memory_fault.so MEMORY_FAULT=$work/fault$1"
}

fault_begin()   # node, CALL ERRNO DELAY-MS SKIP COUNT; of memory: SKIP COUNT
{
    rm -f "$work/fault$1.fired"
    echo "${*:2}" >"$work/fault$1.new"
    mv "$work/fault$1.new" "$work/fault$1"
}

fault_fired() { stat -c %s "$work/fault$1.fired" 2>/dev/null || echo 0; }

struck() { [ "$(fault_fired "$1")" -gt 0 ]; }   # node

fault_end()   # node: it has to have struck
{
    rm -f "$work/fault$1"
    struck "$1" || fail "no call of replica $1 met the fault"
}

# --- files of a replica that is stopped ---

file_first() { ls -d "$(data_directory "$1")"/$2 | head -n 1; }   # node, pattern
file_last() { ls -dv "$(data_directory "$1")"/$2 | tail -n 1; }

shorten() { truncate -s "-$2" "$1"; }   # file, bytes

zero_end()   # file, bytes
{
    local bytes
    bytes=$(stat -c %s "$1")
    shorten "$1" "$2"
    truncate -s "$bytes" "$1"
}

garbage_end() { head -c "$2" /dev/urandom >>"$1"; }   # file, bytes

flip()   # file, where in percent of its size: all bits of a byte
{
    local where byte
    where=$(($(stat -c %s "$1") * $2 / 100))
    byte=$(od -An -tu1 -j "$where" -N 1 "$1")
    # shellcheck disable=SC2059
    printf "\\x$(printf %x $((byte ^ 255)))" | dd of="$1" bs=1 seek="$where" conv=notrunc status=none
}

# It refuses to start, or stops soon after, and says why (0); or is in the group of these nodes (1).
refuses()   # node, what was done to it, nodes...
{
    local node=$1 what=$2 pid said
    shift 2
    said=$(wc -l <"$work/r$node/log")
    replica_start "$node"
    pid=$(replica_pid "$node")
    since() { tail -n +$((said + 1)) "$work/r$node/log"; }
    settled() { gone "$pid" || since | grep -q 'stops serving' || group_is "$@"; }
    wait_until 15 settled "$@" || fail "$what: it neither comes back nor stops: $(describe)"
    ! group_is "$@" || return 1
    replica_kill "$node"
    since | grep -qiE 'damaged|missing|corruption|lost|no such|does not exist|no replica|older than' ||
        fail "$what: it does not say why: $(since | tail -n 2)"
}
