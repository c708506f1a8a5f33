/* tuttictl cluster create: the birth of a group, an explicit act.
 *
 * Every member is asked first what it is. All have to be reachable and to wait with an empty
 * directory (tutti-mds --init), or to belong to one and the same cluster of this name already: then
 * an earlier create was interrupted, and this one goes on with the same id. The first lineage
 * follows from the cluster id, so that it is the same in both; the time of birth is asked of who
 * was born. Limits that decide outcomes have to be the same at all. Nothing is changed before all
 * have answered.
 *
 * Source: docs/protocol.md, section 1 (lineage, store id). */
#include "base/hash.h"
#include "client/ctl.h"
#include "client/ctl_admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#define CREATE_TIMEOUT_NS (60ull * 1000 * 1000 * 1000) /* formatting waits for disks */

struct creation {
    const struct ctl_command *command;
    struct ctl_exchange exchanges[CTL_MEMBERS_MAX];
    uint8_t cluster[16];
    bool known; /* a member belongs to the cluster already */
    int64_t time_ns;
    json_t *limits; /* what the first member is configured with */
    uint32_t waiting;
};

static void hex(char *to, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sprintf(to + 2 * i, "%02x", bytes[i]);
}

static int from_hex(uint8_t *to, size_t count, const char *text)
{
    if (strlen(text) != 2 * count || strspn(text, "0123456789abcdef") != 2 * count)
        return -EINVAL;
    for (size_t i = 0; i < count; i++)
        if (sscanf(text + 2 * i, "%2hhx", &to[i]) != 1)
            return -EINVAL;
    return 0;
}

/* One question to all members; prints who could not be asked. */
static enum ctl_exit ask_all(struct creation *c, const json_t *request, uint64_t timeout_ns)
{
    enum ctl_exit result = CTL_OK;
    uint32_t count = c->command->member_count;
    for (uint32_t i = 0; i < count; i++)
        c->exchanges[i] =
            (struct ctl_exchange){.address = c->command->members[i].address, .request = request};
    if (!request || ctl_exchange_all(c->exchanges, count, timeout_ns)) {
        fprintf(stderr, "tuttictl: out of memory\n");
        return CTL_FAILED;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!c->exchanges[i].code)
            continue;
        fprintf(stderr, "tuttictl: node %u (%s): %s\n", c->command->members[i].node,
                c->exchanges[i].address, c->exchanges[i].trouble);
        result = CTL_UNREACHABLE;
    }
    return result;
}

static void drop_replies(struct creation *c)
{
    for (uint32_t i = 0; i < c->command->member_count; i++) {
        json_decref(c->exchanges[i].reply);
        c->exchanges[i].reply = NULL;
    }
}

/* A member that was formatted before: the same cluster, or none. */
static enum ctl_exit check_formatted(struct creation *c, uint32_t i)
{
    const json_t *reply = c->exchanges[i].reply;
    const char *address = c->exchanges[i].address;
    char name[128], cluster[64];
    uint8_t id[16];
    ctl_text(reply, "name", name, sizeof name);
    ctl_text(reply, "cluster", cluster, sizeof cluster);
    if (strcmp(name, c->command->name) || from_hex(id, sizeof id, cluster)) {
        fprintf(stderr,
                "tuttictl: %s belongs to cluster '%s' (%s) already; to use it for '%s', give it an "
                "empty data directory and start it with --init\n",
                address, name, cluster, c->command->name);
        return CTL_FAILED;
    }
    if (c->known && memcmp(id, c->cluster, sizeof id)) {
        fprintf(stderr, "tuttictl: %s belongs to another cluster of the same name (%s)\n", address,
                cluster);
        return CTL_FAILED;
    }
    memcpy(c->cluster, id, sizeof id);
    c->time_ns = json_integer_value(json_object_get(reply, "time"));
    c->known = true;
    return CTL_OK;
}

/* Limits decide outcomes: replicas with different ones would come to different states. */
static enum ctl_exit check_limits(struct creation *c, uint32_t i)
{
    json_t *limits = json_object_get(c->exchanges[i].reply, "limits");
    if (!c->limits)
        c->limits = json_incref(limits);
    if (limits && json_equal(limits, c->limits))
        return CTL_OK;
    char *mine = json_dumps(limits, JSON_COMPACT), *first = json_dumps(c->limits, JSON_COMPACT);
    fprintf(stderr,
            "tuttictl: %s is configured with the limits %s, %s with %s; give all replicas the same "
            "[limits]\n",
            c->exchanges[i].address, mine ? mine : "?", c->exchanges[0].address,
            first ? first : "?");
    free(mine);
    free(first);
    return CTL_FAILED;
}

static enum ctl_exit check_member(struct creation *c, uint32_t i)
{
    const struct ctl_member *member = &c->command->members[i];
    const json_t *reply = c->exchanges[i].reply;
    char state[32], detail[256];
    json_int_t node = json_integer_value(json_object_get(reply, "node"));
    if (!json_is_true(json_object_get(reply, "ok"))) {
        fprintf(stderr, "tuttictl: node %u (%s): %s\n", member->node, member->address,
                ctl_text(reply, "error", detail, sizeof detail));
        return CTL_FAILED;
    }
    if (node != member->node) {
        fprintf(stderr,
                "tuttictl: %s says that it is node %lld, not %u; correct `node` in its "
                "configuration or the command\n",
                member->address, (long long)node, member->node);
        return CTL_FAILED;
    }
    if (json_is_true(json_object_get(reply, "witness")) != member->witness) {
        fprintf(stderr,
                "tuttictl: node %u (%s) is configured as %s; correct `witness` in its "
                "configuration, or write %u=%s%s\n",
                member->node, member->address, member->witness ? "no witness" : "a witness",
                member->node, member->address, member->witness ? "" : ",witness");
        return CTL_FAILED;
    }
    ctl_text(reply, "state", state, sizeof state);
    if (!strcmp(state, "formatted"))
        return check_formatted(c, i);
    if (!strcmp(state, "removed")) {
        fprintf(stderr,
                "tuttictl: node %u (%s) was removed from its cluster; give it an empty data "
                "directory and start it with --init\n",
                member->node, member->address);
        return CTL_FAILED;
    }
    if (strcmp(state, "waiting")) {
        fprintf(stderr, "tuttictl: node %u (%s) is in an unknown state '%s'\n", member->node,
                member->address, state);
        return CTL_FAILED;
    }
    c->waiting++;
    return CTL_OK;
}

/* A new cluster: its id and its time. */
static enum ctl_exit draw_birth(struct creation *c)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    c->time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    if (getrandom(c->cluster, sizeof c->cluster, 0) == sizeof c->cluster)
        return CTL_OK;
    perror("tuttictl: getrandom");
    return CTL_FAILED;
}

static enum ctl_exit probe(struct creation *c)
{
    json_t *request = json_pack("{s:s}", "verb", "probe");
    enum ctl_exit result = ask_all(c, request, c->command->timeout_ns);
    json_decref(request);
    if (result == CTL_UNREACHABLE)
        fprintf(stderr, "tuttictl: nothing was created: all members have to run "
                        "(new ones with tutti-mds --init)\n");
    for (uint32_t i = 0; result == CTL_OK && i < c->command->member_count; i++)
        result = check_member(c, i);
    for (uint32_t i = 0; result == CTL_OK && i < c->command->member_count; i++)
        result = check_limits(c, i);
    drop_replies(c);
    return result == CTL_OK && !c->known ? draw_birth(c) : result;
}

static json_t *create_request(const struct creation *c)
{
    char cluster[33], lineage[17];
    hex(cluster, c->cluster, sizeof c->cluster);
    snprintf(lineage, sizeof lineage, "%016llx",
             (unsigned long long)hash64_seeded(c->cluster, sizeof c->cluster, 1));
    json_t *members = json_array();
    for (uint32_t i = 0; i < c->command->member_count; i++)
        json_array_append_new(members,
                              json_pack("{s:i,s:s,s:b}", "node", (int)c->command->members[i].node,
                                        "address", c->command->members[i].address, "witness",
                                        (int)c->command->members[i].witness));
    return json_pack("{s:s,s:s,s:s,s:s,s:I,s:O,s:o}", "verb", "create", "name", c->command->name,
                     "cluster", cluster, "lineage", lineage, "time", (json_int_t)c->time_ns,
                     "limits", c->limits, "members", members);
}

static enum ctl_exit create(struct creation *c)
{
    json_t *request = create_request(c);
    enum ctl_exit result = ask_all(c, request, CREATE_TIMEOUT_NS);
    json_decref(request);
    for (uint32_t i = 0; i < c->command->member_count; i++) {
        char detail[256];
        const json_t *reply = c->exchanges[i].reply;
        if (!reply || json_is_true(json_object_get(reply, "ok")))
            continue;
        fprintf(stderr, "tuttictl: node %u (%s): %s\n", c->command->members[i].node,
                c->exchanges[i].address, ctl_text(reply, "error", detail, sizeof detail));
        result = CTL_FAILED;
    }
    drop_replies(c);
    if (result != CTL_OK)
        fprintf(stderr, "tuttictl: not all members are formatted; the same command goes on from "
                        "here once the cause is gone\n");
    return result;
}

static void tell(const struct creation *c)
{
    char cluster[33];
    hex(cluster, c->cluster, sizeof c->cluster);
    const char *done = c->waiting ? "created" : "there already";
    if (c->command->json)
        printf("{\"ok\": true, \"name\": \"%s\", \"cluster\": \"%s\", \"members\": %u, "
               "\"formatted_now\": %u}\n",
               c->command->name, cluster, c->command->member_count, c->waiting);
    else
        printf("cluster %s (%s) with %u members: %s\n", c->command->name, cluster,
               c->command->member_count, done);
}

enum ctl_exit ctl_create(const struct ctl_command *command)
{
    struct creation c = {.command = command};
    enum ctl_exit result = probe(&c);
    if (result == CTL_OK)
        result = create(&c);
    if (result == CTL_OK)
        tell(&c);
    json_decref(c.limits);
    return result;
}
