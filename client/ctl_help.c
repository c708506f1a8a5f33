/* tuttictl's help: one text for all, and one with examples for each command. */
#include "client/ctl_args.h"

static const char all[] =
    "usage: tuttictl cluster create --name NAME NODE=HOST:PORT[,witness] ...\n"
    "       tuttictl status [--json] HOST:PORT ...\n"
    "       tuttictl member list [--json] HOST:PORT ...\n"
    "       tuttictl member add NODE=HOST:PORT --at HOST:PORT\n"
    "       tuttictl member remove NODE --at HOST:PORT\n"
    "       tuttictl member replace OLD NEW=HOST:PORT --at HOST:PORT\n"
    "       tuttictl member drain|undrain NODE --at HOST:PORT\n"
    "       tuttictl recover [--force] HOST:PORT\n"
    "       tuttictl COMMAND --help | --help | --version\n"
    "\n"
    "cluster create   Make one cluster of replicas that wait (tutti-mds --init). Each is named by\n"
    "                 the node id of its configuration. Interrupted, it can be repeated.\n"
    "status           What each replica says of itself, and whether replicas at the same index\n"
    "                 agree.\n"
    "member list      Who belongs to the group, who is away, who joins and how far it is.\n"
    "member add       Let a new, empty replica join while the group serves.\n"
    "member remove    Take a replica out for good, in order where it is there.\n"
    "member replace   Add one, and when it is level remove another.\n"
    "member drain     Send the clients of one replica to the others, before maintenance.\n"
    "recover          When a majority is lost for good: what one replica has, and with --force\n"
    "                 go on from that.\n"
    "\n"
    "  --at HOST:PORT   a replica of the group; may be given several times\n"
    "  --name NAME      name of the cluster: letters, digits, '-', '_', '.'\n"
    "  --json           for programs: one JSON object a line\n"
    "  --timeout TIME   how long to wait for a replica's answer (default 5s)\n"
    "  --wait TIME      how long to wait for what goes on by itself (default: until it is done)\n"
    "  --no-wait        do not wait for it\n"
    "\n"
    "exit code: 0 done; 1 failed or refused; 2 wrong usage; 3 a replica could not be reached\n"
    "\n"
    "examples:\n"
    "  tuttictl cluster create --name home 1=mds1:7400 2=mds2:7400 3=mds3:7400\n"
    "  tuttictl status mds1:7400 mds2:7400 mds3:7400\n"
    "  tuttictl member add 4=mds4:7400 --at mds1:7400\n"
    "  tuttictl status --json 127.0.0.1:7401 | python3 -m json.tool\n";

static const char create[] =
    "usage: tuttictl cluster create --name NAME NODE=HOST:PORT[,witness] ... [--json]\n"
    "\n"
    "Make one cluster of replicas that wait (tutti-mds --init). NODE is the id in each one's\n"
    "configuration. All have to be reachable; nothing is changed before all have answered.\n"
    "Interrupted, the same command goes on. A witness votes and holds no data: with two\n"
    "replicas it is the third opinion. It is configured with `witness = yes`.\n"
    "\n"
    "  --name NAME                name of the cluster, as in the configurations\n"
    "  --witness NODE=HOST:PORT   the same as NODE=HOST:PORT,witness\n"
    "  --timeout TIME             how long to wait for a replica's answer (default 5s)\n"
    "\n"
    "examples:\n"
    "  tuttictl cluster create --name home 1=mds1:7400 2=mds2:7400 3=mds3:7400\n"
    "  tuttictl cluster create --name home 1=mds1:7400 2=mds2:7400 --witness 3=small:7400\n";

static const char status[] =
    "usage: tuttictl status [--json] HOST:PORT ...\n"
    "\n"
    "What each replica says of itself. Replicas that differ at the same index have diverged: that\n"
    "is said, and the exit code is 1. A replica that waits says for whom.\n"
    "\n"
    "examples:\n"
    "  tuttictl status mds1:7400 mds2:7400 mds3:7400\n"
    "  tuttictl status --json 127.0.0.1:7401 | python3 -m json.tool\n";

static const char list[] =
    "usage: tuttictl member list [--json] HOST:PORT ...\n"
    "\n"
    "Who belongs to the group, as its newest view says. One replica's address is enough; of\n"
    "several the first that answers and runs is asked.\n"
    "  STATE      member, witness, absent (voted out, comes back by itself), joining,\n"
    "             transferring (fetches a snapshot), removed\n"
    "  CONNECTED  as the replica that was asked sees it\n"
    "  LAG        messages that it has not applied yet\n"
    "  LEVEL      percent of what a joiner needs\n"
    "\n"
    "examples:\n"
    "  tuttictl member list mds1:7400\n"
    "  tuttictl member list --json mds1:7400 mds2:7400\n";

static const char add[] =
    "usage: tuttictl member add NODE=HOST:PORT --at HOST:PORT [--no-wait | --wait TIME] [--json]\n"
    "\n"
    "Let a new replica join while the group serves. Start it on an empty data directory with\n"
    "tutti-mds --init; NODE is the id in its configuration and new to the group. It is given the\n"
    "cluster's identity and the addresses of the members, and joins by itself: the command only\n"
    "watches, and may be interrupted or repeated.\n"
    "\n"
    "examples:\n"
    "  tuttictl member add 4=mds4:7400 --at mds1:7400\n"
    "  tuttictl member add 4=mds4:7400 --at mds1:7400 --at mds2:7400 --no-wait\n";

static const char remove_[] =
    "usage: tuttictl member remove NODE --at HOST:PORT [--no-wait | --wait TIME] [--json]\n"
    "\n"
    "Take a replica out for good. One that is there is asked to leave in order: it stops serving\n"
    "first, and nothing waits for it. One that is away is removed by the others. It can't come\n"
    "back; to use it again, empty its data directory and add it.\n"
    "\n"
    "examples:\n"
    "  tuttictl member remove 3 --at mds1:7400\n";

static const char replace[] =
    "usage: tuttictl member replace OLD NEW=HOST:PORT --at HOST:PORT [--wait TIME] [--json]\n"
    "\n"
    "Add NEW as `member add` does, wait until it is in the group, then remove OLD. Interrupted,\n"
    "the same command goes on.\n"
    "\n"
    "examples:\n"
    "  tuttictl member replace 3 5=mds5:7400 --at mds1:7400\n";

static const char drain[] =
    "usage: tuttictl member drain|undrain NODE --at HOST:PORT [--no-wait | --wait TIME] [--json]\n"
    "\n"
    "drain: the replica lets no new clients in and sends those that it has to the others, each\n"
    "after its answers; it stays a member. The command waits until no client is left. undrain:\n"
    "clients are welcome again. A restart undrains.\n"
    "\n"
    "examples:\n"
    "  tuttictl member drain 2 --at mds1:7400 && ssh mds2 systemctl restart tutti-mds\n"
    "  tuttictl member undrain 2 --at mds1:7400\n";

static const char recover[] =
    "usage: tuttictl recover [--force] [--yes-i-know NAME] HOST:PORT\n"
    "\n"
    "For a group whose majority is lost for good. Without --force: says what the replica has, who\n"
    "is missing and what may be lost; changes nothing. With --force: asks for the cluster's name\n"
    "(or takes it from --yes-i-know), then this replica alone goes on with what it has, as a new\n"
    "lineage. The others are fenced: what they have can't come back. Empty their data "
    "directories,\n"
    "start them with tutti-mds --init and add them with `member add`.\n"
    "\n"
    "If any other replica may still come back, bring it back instead: then nothing is lost.\n"
    "\n"
    "examples:\n"
    "  tuttictl recover mds2:7400\n"
    "  tuttictl recover --force mds2:7400\n"
    "  tuttictl recover --force --yes-i-know home mds2:7400\n";

const char *ctl_help(enum ctl_verb topic)
{
    static const char *const texts[CTL_VERB_COUNT] = {
        [CTL_CLUSTER_CREATE] = create, [CTL_STATUS] = status,
        [CTL_MEMBER_LIST] = list,      [CTL_MEMBER_ADD] = add,
        [CTL_MEMBER_REMOVE] = remove_, [CTL_MEMBER_REPLACE] = replace,
        [CTL_MEMBER_DRAIN] = drain,    [CTL_MEMBER_UNDRAIN] = drain,
        [CTL_RECOVER] = recover,
    };
    return texts[topic] ? texts[topic] : all;
}
