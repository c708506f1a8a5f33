# shellcheck shell=bash
# As lib.sh, with each replica, and the clients, in a network namespace of its own: links of a bridge
# that is in one more namespace, so nothing reaches or touches this machine's own network. Cuts are
# nft rules in the namespace of one end; `heal` fails where a cut never dropped a packet.

. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
need_root "network namespaces"
net=tutti$$
declare -A link_of=()

address() { echo "10.98.0.$1:7400"; }
ip_of() { if [ "$1" = client ]; then echo 10.98.0.250; else echo "10.98.0.$1"; fi; }
security() { echo "[security]"; echo "auth = none"; }
place_of() { echo "nsenter --net=/run/netns/$net-$1"; }

net_finish()
{
    local n
    for n in "${!link_of[@]}" bridge; do ip netns del "$net-$n" 2>/dev/null; done
}

link_make()   # node or 'client'
{
    local n=$1
    ip netns add "$net-$n"
    link_of[$n]=link-$n
    ip -n "$net-bridge" link add "link-$n" type veth peer name eth0 netns "$net-$n"
    ip -n "$net-bridge" link set "link-$n" master bridge up
    ip -n "$net-$n" addr add "$(ip_of "$n")/24" dev eth0
    ip -n "$net-$n" link set lo up
    ip -n "$net-$n" link set eth0 up
    at "$n" nft -f - <<END
table inet cut {
    chain in { type filter hook input priority 0; }
    chain out { type filter hook output priority 0; }
}
END
}

net_make()   # nodes...: a bridge, and a link for each and for the clients
{
    local n
    ip netns add "$net-bridge" 2>/dev/null || { echo "no network namespaces to be had"; exit 77; }
    cleanups+=(net_finish)
    ip -n "$net-bridge" link add bridge type bridge
    ip -n "$net-bridge" link set bridge up
    for n in client "$@"; do link_make "$n"; done
    at client nft list ruleset >/dev/null 2>&1 || { echo "no nft to be had"; exit 77; }
}

# --- faults ---

rule() { at "$1" nft add rule inet cut "$2" "${@:3}" counter drop; }   # node, chain, match...

# Node hears nothing of the others (or of one), is not heard by them, or both.
sever_in() { if [ $# = 1 ]; then rule "$1" in iifname eth0; else rule "$1" in ip saddr "$(ip_of "$2")"; fi; }
sever_out() { if [ $# = 1 ]; then rule "$1" out oifname eth0; else rule "$1" out ip daddr "$(ip_of "$2")"; fi; }
sever() { sever_in "$@"; sever_out "$@"; }

# No packet between the two sets.
split()   # "nodes", "nodes"
{
    local a b
    for a in $1; do for b in $2; do sever "$a" "$b"; done; done
}

dropped() { at "$1" nft list table inet cut | sed -n 's/.*counter packets \([0-9]*\) .*/\1/p' | awk '{ n += $1 } END { print n + 0 }'; }

heal()   # nodes...: end all cuts made at them; each has to have dropped something
{
    local n count
    for n in "$@"; do
        count=$(dropped "$n")
        at "$n" nft flush table inet cut
        [ "$count" -gt 0 ] || fail "the cut at $n never dropped a packet"
    done
}

# The cable: the node's interface loses its carrier.
cable_pull() { ip -n "$net-bridge" link set "link-$1" down; }
cable_plug() { ip -n "$net-bridge" link set "link-$1" up; }

net_group_start() { net_make $(seq 1 "$1"); group_start "$1"; }   # count
