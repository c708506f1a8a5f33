# A group of real processes for a test: source it, then group_start.
#
# Everything lives under $work (removed at exit unless KEEP=1) and on 127.0.0.1, ports $port_first and
# up (by the process id, so that two tests can run at once). Processes are ended by their own ids only.

set -euo pipefail
build=${1:?usage: TEST BUILD-DIRECTORY}
build=$(cd "$build" && pwd)
mds=$build/mds/tutti-mds mount_program=$build/client/tutti-mount ctl=$build/client/tuttictl
port_first=${PORT_FIRST:-$((20000 + $$ % 1000 * 8))} # below the ephemeral ports
work=$(mktemp -d "${TMPDIR:-/tmp}/tutti-test.XXXXXX")
replicas=0
mounts=()

cleanup()
{
    local rc=$? m p
    set +e
    exec 2>/dev/null # bash's own notices of the kills
    for m in "${mounts[@]}"; do fusermount3 -uz "$m" 2>/dev/null; done
    for p in "$work"/*/pid "$work"/*.pid; do [ -e "$p" ] && kill -9 "$(cat "$p")" 2>/dev/null; done
    wait
    if [ $rc != 0 ] && [ $rc != 77 ]; then
        for p in "$work"/*/log "$work"/*.log; do [ -s "$p" ] && { echo "--- ${p#"$work"/}"; tail -n 15 "$p"; }; done
    fi
    if [ -n "${KEEP:-}" ]; then echo "kept: $work"; else rm -rf "$work"; fi
    exit $rc
}
trap cleanup EXIT

fail() { echo "FAILED: $*"; exit 1; }

address() { echo "127.0.0.1:$((port_first + $1 - 1))"; }

addresses()   # separator
{
    local i out=
    for ((i = 1; i <= replicas; i++)); do out+="${out:+$1}$(address "$i")"; done
    echo "$out"
}

wait_until()   # seconds, command...
{
    local left=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        ((left-- > 0)) || return 1
        sleep 0.05
    done
}

replica_config()   # node
{
    local i
    echo "[replica]"
    echo "node = $1"
    echo "listen = $(address "$1")"
    echo "data = $work/r$1/data"
    echo "[group]"
    echo "name = test"
    for ((i = 1; i <= replicas; i++)); do echo "member.$i = $(address "$i")"; done
    echo "[storage]"
    echo "durability = ${DURABILITY:-disk}"
}

replica_start()   # node, arguments...
{
    local node=$1
    shift
    "$mds" --config "$work/r$node/conf" "$@" >>"$work/r$node/log" 2>&1 </dev/null &
    echo $! >"$work/r$node/pid"
}

replica_pid() { cat "$work/r$1/pid"; }

replica_kill()   # node
{
    local pid
    pid=$(replica_pid "$1")
    kill -9 "$pid"
    wait "$pid" 2>/dev/null || true
}

replica_listens() { local a; a=$(address "$1"); (exec 3<>"/dev/tcp/${a%:*}/${a#*:}") 2>/dev/null; }

group_start()   # count: format and start a group
{
    local i nodes=()
    replicas=$1
    for ((i = 1; i <= replicas; i++)); do
        mkdir -p "$work/r$i/data"
        replica_config "$i" >"$work/r$i/conf"
        replica_start "$i" --init
        nodes+=("$i=$(address "$i")")
    done
    for ((i = 1; i <= replicas; i++)); do wait_until 10 replica_listens "$i" || fail "replica $i does not listen"; done
    "$ctl" cluster create --name test "${nodes[@]}" || fail "cluster create"
    wait_until 20 group_running || fail "the group does not run: $("$ctl" status $(addresses ' ') 2>&1)"
}

status_field()   # node, jq-like name of a top-level field of the status
{
    "$ctl" status --json "$(address "$1")" | python3 -c '
import json, sys
status = json.load(sys.stdin)
status = status[0] if isinstance(status, list) else status
print(status[sys.argv[1]])' "$2"
}

group_running()
{
    local i
    for ((i = 1; i <= replicas; i++)); do [ "$(status_field "$i" running)" = True ] || return 1; done
}

# The same history hash and digest at the same index at every replica.
group_equal()
{
    local i first= one
    for ((i = 1; i <= replicas; i++)); do
        one=$("$ctl" status --json "$(address "$i")" | python3 -c '
import json, sys
s = json.load(sys.stdin)
s = s[0] if isinstance(s, list) else s
print(s["index"], s["history"], s["digest"])')
        : "${first:=$one}"
        [ "$one" = "$first" ] || return 1
    done
    echo "$first"
}

mount_start()   # directory, options...
{
    local dir=$1
    shift
    mkdir -p "$dir" "$work/target-1" "$work/target-2"
    "$mount_program" -f "$(addresses ,)" "$dir" -o "data=$work/target-1:$work/target-2${1:+,$1}" \
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
