#!/usr/bin/env bash
# How long faults stop the others: a group of three in network namespaces, the load of `failover`, and
# the faults.
#
# usage: failover.sh BUILD-DIRECTORY [--fault NAME ...] [--repeat N] [--cache SIZE] [--inodes N]
#                    [--disk own|memory|shared] [--stolen-max TIME] [--svg DIRECTORY] [--json]
#                    [-- OPTION-OF-FAILOVER ...]
#
# faults: kill-worker   kill -9 of the process that serves; its supervisor starts another one
#         kill-both     kill -9 of supervisor and worker
#         cable         the replica's link loses its carrier
#         sigterm       SIGTERM: it leaves in order
#         remove        tuttictl member remove
#         add           tuttictl member add of an empty fourth replica, until it is a member
#         none          nothing for six seconds, with the files of `add`: what the machine does by itself
# --cache   fill the replica's cache so far before kill-worker (default 1G)
# --inodes  make so many files before add (default 1000000)
# --disk    own (default): a file system for each replica, in memory, because replicas that share one
#           wait for each other's commits; memory: the same where a sync costs nothing, so that the kernel's
#           threads, which want the processors that the load and a joiner use up here, are in nobody's way;
#           shared: all on this machine's, in TMPDIR
# --stolen-max  rounds in which a hypervisor took more than that from the processors don't count, and are
#           made again, four times as many rounds at most
set -euo pipefail
bench=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
case ${1:-} in ''|-h|--help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "$0"; exit 0 ;; esac
. "$bench/../tests/cluster/net.sh"
shift

faults=() repeat=3 cache=1G inodes=1000000 disk=own svg='' meter_options=()
while [ $# -gt 0 ]; do
    case $1 in
    --fault) faults+=("$2"); shift ;;
    --repeat) repeat=$2; shift ;;
    --cache) cache=$2; shift ;;
    --inodes) inodes=$2; shift ;;
    --disk) disk=$2; shift ;;
    --stolen-max) meter_options+=(--stolen-max "$2"); shift ;;
    --svg) svg=$2; mkdir -p "$svg"; shift ;;
    --json) meter_options+=(--json) ;;
    --) shift; meter_options+=("$@"); break ;;
    *) echo "failover.sh: unknown option $1" >&2; exit 2 ;;
    esac
    shift
done
case $disk in own|memory|shared) ;; *) echo "failover.sh: --disk is own, memory or shared" >&2; exit 2 ;; esac
[ ${#faults[@]} -gt 0 ] || faults=(kill-worker kill-both cable sigterm remove add)
STORAGE='cache = 1400M\n'

# --- the conversation with the meter ---

meter_start()   # fault
{
    local options=("${meter_options[@]}" --name "$1")
    [ -z "$svg" ] || options+=(--svg "$svg/failover-$1.svg")
    # shellcheck disable=SC2046
    coproc METER { exec $(place_of client) "$build/bench/failover" --replicas "$(addresses , 1 2 3)" "${options[@]}" 2>>"$work/meter.log"; }
    # shellcheck disable=SC2153
    meter_pid=$METER_PID meter_in=${METER[1]} meter_out=${METER[0]}
}

ask()   # line, expected answers. Sets answer
{
    answer=
    echo "$1" >&"$meter_in"
    read -r answer <&"$meter_out" || true
    [[ "|$2|" == *"|$answer|"* ]] || fail "failover: '$1' was answered with '$answer': $(tail -n 3 "$work/meter.log")"
}

meter_finish()
{
    local rc=0
    eval "exec $meter_in>&-"
    cat <&"$meter_out"
    wait "$meter_pid" || rc=$?
    [ $rc = 0 ] || fail "failover: exit code $rc: $(tail -n 3 "$work/meter.log")"
}

# --- faults: what is needed before the load, before each round, the fault, and how it is mended ---

prepare_kill-worker() { ask "fill $(address "$1") $cache" filled; }
fault_kill-worker() { worker_kill "$1"; }

fault_kill-both() { kill -9 $(replica_pids "$1"); }
mend_kill-both() { wait "$(replica_pid "$1")" 2>/dev/null || true; replica_start "$1"; }

fault_cable() { cable_pull "$1"; }
mend_cable() { cable_plug "$1"; }

fault_sigterm() { kill -TERM "$(replica_pid "$1")"; }
mend_sigterm() { wait "$(replica_pid "$1")" || fail "SIGTERM: exit code $?"; replica_start "$1"; }

fault_remove() { member_remove "$1"; }
mend_remove() { replica_wipe "$1"; member_add "$1"; }

first_add() { ask "inodes $inodes" made; }
victim_add() { echo 4; }
fault_add() { member_add 4; }
mend_add() { member_remove 4; replica_wipe 4; }

first_none() { first_add; }
fault_none() { sleep 6; }

# What the round before left to a file system that all share, it does now: it gives the blocks of a
# wiped replica back when it commits, up to five seconds later, and every sync waits.
settle() { [ "$disk" != shared ] || sync -f "$work"; }

disk_in_memory()   # node
{
    mkdir -p "$work/r$1"
    mount -t tmpfs tutti-bench "$work/r$1"
    cleanups+=("umount -l '$work/r$1'")
    [ "$disk" = memory ] || disk_make "$1" ext4 8G
}

defined() { declare -F "$1" >/dev/null; }

measure()   # fault
{
    local fault=$1 round counted=0 victim
    defined "fault_$fault" || fail "no such fault: $fault"
    meter_start "$fault"
    ! defined "first_$fault" || "first_$fault"
    for ((round = 0; counted < repeat && round < 4 * repeat; round++)); do
        victim=$((round % 3 + 1))
        ! defined "victim_$fault" || victim=$("victim_$fault")
        ! defined "prepare_$fault" || "prepare_$fault" $victim
        [ $round != 0 ] || ask load loaded
        settle
        ask "round $(address $victim)" now
        "fault_$fault" $victim
        ask did 'end|again'
        [ "$answer" = again ] || counted=$((counted + 1))
        ! defined "mend_$fault" || "mend_$fault" $victim
        wait_group 60 1 2 3
    done
    meter_finish
    wait_equal 30 1 2 3
}

net_make 1 2 3 4
if [ "$disk" != shared ]; then for node in 1 2 3 4; do disk_in_memory "$node"; done; fi
group_start 3
for fault in "${faults[@]}"; do measure "$fault"; done
