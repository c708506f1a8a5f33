# shellcheck shell=bash
# A group of real processes for a test: source it, then group_start.
#
# Everything lives under $work (removed at exit unless KEEP=1) and on 127.0.0.1, ports $port_first and
# up (by the process id, so that two tests can run at once); with net.sh each replica is in a network
# namespace of its own instead. Processes are ended by their own ids only.

set -euo pipefail
build=${1:?usage: TEST BUILD-DIRECTORY}
build=$(cd "$build" && pwd)
mds=$build/mds/tutti-mds mount_program=$build/client/tutti-mount ctl=$build/client/tuttictl
load_program=$build/tests/cluster/load
lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
port_first=${PORT_FIRST:-$((20000 + $$ % 1000 * 8))} # below the ephemeral ports
work=$(mktemp -d "${TMPDIR:-/tmp}/tutti-test.XXXXXX")
replicas=0
mounts=()
witnesses=''                 # nodes that are witnesses
declare -A data_of=()        # node -> its data directory, where it is not $work/rNODE/data
declare -A options_of=()     # node -> further lines of its [order], printf format
declare -A environment_of=() # node -> words before its command line
crash='was killed by signal (4|5|6|7|8|11) ' # what a supervisor says of a worker's defect; never right
cleanups=()                  # commands for the end, last one first

cleanup()
{
    local rc=$? m p i
    set +e
    exec 2>/dev/null # bash's own notices of the kills
    for m in "${mounts[@]}"; do fusermount3 -uz "$m" 2>/dev/null; done
    for p in "$work"/*/pid "$work"/*.pid; do [ -e "$p" ] && end_tree "$(cat "$p")"; done
    wait
    if [ $rc = 0 ] && grep -E "$crash" "$work"/*/log; then echo "FAILED: a replica crashed"; rc=1; fi
    if [ $rc != 0 ] && [ $rc != 77 ]; then
        for p in "$work"/*/log "$work"/*.log; do [ -s "$p" ] && { echo "--- ${p#"$work"/}"; tail -n 25 "$p"; }; done
    fi
    for ((i = ${#cleanups[@]} - 1; i >= 0; i--)); do eval "${cleanups[i]}"; done
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
    exit $rc
}
trap cleanup EXIT

fail() { echo "FAILED: $*"; exit 1; }

# --- processes ---

children_of() { cat "/proc/$1/task/$1/children" 2>/dev/null || true; }

end_tree()   # pid: it and its children, whether stopped or not
{
    local children
    children=$(children_of "$1")
    kill -9 "$1" $children 2>/dev/null || true
}

gone() { local p; for p in "$@"; do [ ! -d "/proc/$p" ] || [ "$(sed 's/.*) //' "/proc/$p/stat" 2>/dev/null | cut -c1)" = Z ] || return 1; done; }

# --- places: on loopback all are one; net.sh has others ---

address() { echo "127.0.0.1:$((port_first + $1 - 1))"; }
place_of() { :; }                        # node or 'client': words that run a command there
at() { local where=$1; shift; $(place_of "$where") "$@"; }   # node or 'client', command...
security() { :; }                        # further lines of a configuration

addresses()   # separator, nodes... (default: all)
{
    local i separator=$1 out=
    shift
    [ $# -gt 0 ] || set -- $(seq 1 $replicas)
    for i in "$@"; do out+="${out:+$separator}$(address "$i")"; done
    echo "$out"
}

wait_until()   # seconds, command...
{
    local end=$(($(date +%s%N) + $1 * 1000000000))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s%N)" -lt "$end" ] || return 1
        sleep 0.05
    done
}

# --- replicas ---

data_directory() { echo "${data_of[$1]:-$work/r$1/data}"; }

is_witness() { [[ " $witnesses " == *" $1 "* ]]; }

replica_config()   # node, nodes that it is told of...
{
    local node=$1 i
    shift
    echo "[replica]"
    echo "node = $node"
    echo "listen = $(address "$node")"
    echo "data = $(data_directory "$node")"
    ! is_witness "$node" || echo "witness = yes"
    echo "[group]"
    echo "name = test"
    for i in "$@"; do echo "member.$i = $(address "$i")"; done
    echo "[storage]"
    echo "durability = ${DURABILITY:-disk}"
    # shellcheck disable=SC2059
    printf "${STORAGE:-}"
    echo "[order]"
    # shellcheck disable=SC2059
    printf "${ORDER:-}${options_of[$node]:-}"
    echo "[limits]"
    # shellcheck disable=SC2059
    printf "${LIMITS:-}"
    security
}

replica_start()   # node, arguments...
{
    local node=$1
    shift
    # shellcheck disable=SC2046
    $(place_of "$node") ${environment_of[$node]:-} "$mds" --config "$work/r$node/conf" "$@" \
        >>"$work/r$node/log" 2>&1 </dev/null &
    echo $! >"$work/r$node/pid"
}

replica_pid() { cat "$work/r$1/pid"; }

worker_pid()   # node: the process that serves
{
    local pid child
    pid=$(replica_pid "$1")
    child=$(children_of "$pid")
    echo "${child:-$pid}" | cut -d' ' -f1
}

replica_pids() { local pid; pid=$(replica_pid "$1"); echo "$pid $(children_of "$pid")"; }

replica_kill()   # node: supervisor and worker at once, no notice to anybody
{
    local pid pids
    pid=$(replica_pid "$1")
    pids=$(replica_pids "$1")
    kill -9 $pids 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
    wait_until 10 gone $pids || fail "replica $1 does not die"
}

worker_kill() { kill -9 "$(worker_pid "$1")"; }   # node: its supervisor starts another one

replica_pause() { kill -STOP $(replica_pids "$1"); }
replica_continue() { kill -CONT $(replica_pids "$1"); }

replica_stop()   # node: in order; its exit code
{
    local pid rc=0
    pid=$(replica_pid "$1")
    kill -TERM "$pid"
    wait "$pid" || rc=$?
    return $rc
}

replica_listens()
{
    local a
    a=$(address "$1")
    at "$1" bash -c "exec 3<>/dev/tcp/${a%:*}/${a#*:}" 2>/dev/null
}

replica_prepare()   # node, nodes that it is told of...
{
    local node=$1
    mkdir -p "$work/r$node" "$(data_directory "$node")"
    replica_config "$@" >"$work/r$node/conf"
}

group_start()   # count: format and start a group
{
    local i nodes=()
    replicas=$1
    for ((i = 1; i <= replicas; i++)); do
        replica_prepare "$i" $(seq 1 "$replicas")
        replica_start "$i" --init
        nodes+=("$i=$(address "$i")$(! is_witness "$i" || echo ,witness)")
    done
    for ((i = 1; i <= replicas; i++)); do wait_until 10 replica_listens "$i" || fail "replica $i does not listen"; done
    at client "$ctl" cluster create --name test "${nodes[@]}" || fail "cluster create"
    wait_until 20 group_running || fail "the group does not run: $("$ctl" status $(addresses ' ') 2>&1)"
}

# --- members ---

highest() { [ "$1" -le "$replicas" ] || replicas=$1; }

# A running node that is not this one: whom to ask.
someone_else()   # node
{
    local n try
    for ((try = 0; try < 40; try++)); do # all may be between two views
        for ((n = 1; n <= replicas; n++)); do
            [ "$n" = "$1" ] || ! group_running "$n" || { address "$n"; return; }
        done
        sleep 0.1
    done
    fail "nobody runs beside node $1"
}

replica_add_begin()   # node: an empty replica that begins to join
{
    local n=$1 member
    member=$(someone_else "$n")
    replica_prepare "$n" $(seq 1 $replicas)
    replica_start "$n" --init
    wait_until 10 replica_listens "$n" || fail "replica $n does not listen"
    at client "$ctl" member add --no-wait "$n=$(address "$n")" --at "$member" >>"$work/ctl.log" 2>&1 || fail "member add $n: $(tail -n 2 "$work/ctl.log")"
    highest "$n"
}

member_add()   # node: as above, until it is a member
{
    local n=$1 member
    member=$(someone_else "$n")
    replica_prepare "$n" $(seq 1 $replicas)
    replica_start "$n" --init
    wait_until 10 replica_listens "$n" || fail "replica $n does not listen"
    at client timeout 120 "$ctl" member add "$n=$(address "$n")" --at "$member" >>"$work/ctl.log" 2>&1 || fail "member add $n: $(tail -n 2 "$work/ctl.log")"
    highest "$n"
}

member_remove()   # node
{
    at client timeout 30 "$ctl" member remove "$1" --at "$(someone_else "$1")" >>"$work/ctl.log" 2>&1 || fail "member remove $1: $(tail -n 2 "$work/ctl.log")"
}

member_forget() { at client timeout 30 "$ctl" member remove "$1" --at "$(someone_else "$1")" >>"$work/ctl.log" 2>&1 || true; }   # node, if anybody knows it

member_replace()   # old node, new node
{
    local member
    member=$(someone_else "$1")
    replica_prepare "$2" $(seq 1 $replicas)
    replica_start "$2" --init
    wait_until 10 replica_listens "$2" || fail "replica $2 does not listen"
    at client timeout 120 "$ctl" member replace "$1" "$2=$(address "$2")" --at "$member" >>"$work/ctl.log" 2>&1 || fail "member replace $1 $2: $(tail -n 2 "$work/ctl.log")"
    highest "$2"
}

replica_wipe()   # node: its process and its data are gone
{
    gone "$(replica_pid "$1")" || replica_kill "$1"
    rm -rf "$(data_directory "$1")"
}

# --- what replicas say of themselves ---

status_of() { at "$1" timeout 6 "$ctl" status --json --timeout 3s "$(address "$1")"; }   # node

status_lines() { local i; for i in "$@"; do status_of "$i" 2>/dev/null || echo '{}'; done; }

# A Python expression over what the nodes say; `s` is the list of their answers, in the order of the
# nodes. Prints its value; fails where it is false.
group_says()   # expression, nodes...
{
    local expression=$1
    shift
    status_lines "$@" | "$python" "$lib/status.py" "$expression"
}
python=$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || echo python3)

status_field() { status_of "$1" | "$python" "$lib/status.py" "str(s[0]['$2']) or '-'"; }   # node, name of a top-level field

group_running()   # nodes... (default: all)
{
    [ $# -gt 0 ] || set -- $(seq 1 $replicas)
    group_says 'all(a.get("running") for a in s)' "$@" >/dev/null
}

# The same history hash and digest at the same index at every replica.
group_equal()   # nodes... (default: all)
{
    [ $# -gt 0 ] || set -- $(seq 1 $replicas)
    group_says 'len({(a["index"], a["history"], a["digest"]) for a in s}) == 1 and "%s %s %s" % (s[0]["index"], s[0]["history"], s[0]["digest"])' "$@"
}

# These nodes, and no others, run in one view.
group_is()   # nodes...
{
    group_says 'all(a.get("running") for a in s) and len({a["epoch"] for a in s}) == 1 and all(sorted(m["node"] for m in a["members"]) == sorted(b["node"] for b in s) for a in s)' "$@" >/dev/null
}

wait_group()   # seconds, nodes...
{
    local seconds=$1
    shift
    wait_until "$seconds" group_is "$@" || fail "nodes $* are not one view after $seconds s: $(describe)"
}

wait_equal()   # seconds, nodes...
{
    local seconds=$1
    shift
    wait_until "$seconds" group_equal "$@" || fail "the replicas $* differ: $(describe)"
}

describe()
{
    local i
    for ((i = 1; i <= replicas; i++)); do
        status_of "$i" 2>/dev/null | "$python" "$lib/status.py" '[(k, a.get(k)) for a in s for k in ("node", "state", "running", "epoch", "index", "waiting_for")]' || echo "node $i: no answer"
    done
}

epoch_of() { status_field "$1" epoch; }

# --- the verified load ---

load_start()   # options of tests/cluster/load...
{
    rm -f "$work/progress"
    # shellcheck disable=SC2046
    $(place_of client) "$load_program" --replicas "${LOAD_REPLICAS:-$(addresses ,)}" --progress "$work/progress" \
        --rate "${LOAD_RATE:-1500}" "$@" >"$work/load.out" 2>"$work/load.log" </dev/null &
    echo $! >"$work/load.pid"
    wait_until 15 [ -s "$work/progress" ] || fail "the load does not begin"
    load_goes_on 10
}

load_done() { cut -d' ' -f1 "$work/progress"; }

load_alive() { kill -0 "$(cat "$work/load.pid")" 2>/dev/null || fail "the load ended: $(tail -n 3 "$work/load.log")"; }

load_beyond() { [ "$(load_done)" -gt "$1" ]; }

load_goes_on()   # seconds: within them at least as many answers as there are sessions, 40
{
    local before
    before=$(load_done)
    wait_until "$1" load_beyond $((before + 40)) || { load_alive; fail "no progress for $1 s: $(describe)"; }
    load_alive
}

load_silent_ms() { cut -d' ' -f2 "$work/progress"; }

load_silent() { [ "$(load_silent_ms)" -ge 300 ]; }

load_stands_still()   # seconds: nothing is answered for so long, once what was under way has ended
{
    local before
    wait_until 5 load_silent || fail "answers from a group that must not answer: $(describe)"
    before=$(load_done)
    sleep "$1"
    load_alive
    [ "$(load_done)" = "$before" ] || fail "$(($(load_done) - before)) answers from a group that must not answer"
}

load_stop()   # all answers have to fit into one order; its last line is printed
{
    local pid
    pid=$(cat "$work/load.pid")
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" || fail "the load: $(cat "$work/load.log")"
    rm -f "$work/load.pid"
    tail -n 1 "$work/load.out"
}

# --- mounts ---

mount_start()   # directory, options...
{
    local dir=$1
    shift
    mkdir -p "$dir" "$work/target-1" "$work/target-2"
    # shellcheck disable=SC2046
    $(place_of client) "$mount_program" -f "${MOUNT_REPLICAS:-$(addresses ,)}" "$dir" -o "data=$work/target-1:$work/target-2,state=$work/state${1:+,$1}" \
        >>"$work/$(basename "$dir").log" 2>&1 </dev/null &
    echo $! >"$work/$(basename "$dir").pid"
    mounts+=("$dir")
    wait_until 20 mountpoint -q "$dir" || fail "the mount on $dir did not appear"
}

mount_stop()   # directory
{
    local pid
    pid=$(cat "$work/$(basename "$1").pid")
    fusermount3 -u "$1"
    wait "$pid" || fail "tutti-mount ended with $?"
}

# --- disks of a replica's own ---

need_root() { [ "$(id -u)" = 0 ] || { echo "needs root: $1"; exit 77; }; }

disk_make()   # node, ext4 or xfs, size: before group_start
{
    local node=$1 where=$work/r$1/disk
    need_root "a file system on a loop device"
    mkdir -p "$where"
    truncate -s "$3" "$work/r$node/image"
    case $2 in
    ext4) mkfs.ext4 -q -m 0 "$work/r$node/image" ;;
    xfs) mkfs.xfs -q "$work/r$node/image" ;;
    esac || { echo "no $2 file system to be had"; exit 77; }
    mount -o loop "$work/r$node/image" "$where" || { echo "no loop device to be had"; exit 77; }
    cleanups+=("umount -l '$where'")
    data_of[$node]=$where/data
}

disk_drop()   # node: as if its power went, what was not synced is gone
{
    xfs_io -x -c 'shutdown' "$work/r$1/disk"
}

disk_again()   # node: after disk_drop. A worker that its supervisor had just started may need a moment to die
{
    wait_until 5 umount "$work/r$1/disk" && mount -o loop "$work/r$1/image" "$work/r$1/disk"
}
