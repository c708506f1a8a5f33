/* tuttictl status: what each replica says of itself, and whether they agree.
 *
 * History hash and digest belong to an index; two replicas that differ at the same index have
 * diverged. At different indices nothing can be said, and nothing is. */
#include "client/ctl.h"
#include "client/ctl_admin.h"

#include <stdio.h>
#include <string.h>

enum { COLUMN_COUNT = 10, CELL_BYTES = 80, HASH_SHOWN = 12 };

static const char *const titles[COLUMN_COUNT] = {"NODE",    "ADDRESS", "STATE",  "EPOCH",
                                                 "INDEX",   "HISTORY", "DIGEST", "SESSIONS",
                                                 "CLIENTS", "OPS"};

/* The keys behind the titles; NULL: made here. */
static const char *const keys[COLUMN_COUNT] = {"node",    NULL,     "state",    "epoch",   "index",
                                               "history", "digest", "sessions", "clients", "ops"};

typedef char row[COLUMN_COUNT][CELL_BYTES];

static void fill_row(const struct ctl_exchange *e, row cells)
{
    for (int c = 0; c < COLUMN_COUNT; c++) {
        cells[c][0] = 0;
        if (keys[c] && e->reply)
            ctl_text(e->reply, keys[c], cells[c], CELL_BYTES);
        if (!strcmp(titles[c], "HISTORY") || !strcmp(titles[c], "DIGEST"))
            cells[c][HASH_SHOWN] = 0;
    }
    snprintf(cells[1], CELL_BYTES, "%s", e->address);
    if (e->code)
        snprintf(cells[2], CELL_BYTES, "unreachable");
    for (int c = 0; c < COLUMN_COUNT; c++)
        if (!cells[c][0])
            strcpy(cells[c], "-");
}

static void print_table(const struct ctl_exchange *exchanges, uint32_t count)
{
    row rows[CTL_ADDRESSES_MAX];
    int widths[COLUMN_COUNT];
    for (int c = 0; c < COLUMN_COUNT; c++)
        widths[c] = (int)strlen(titles[c]);
    for (uint32_t i = 0; i < count; i++) {
        fill_row(&exchanges[i], rows[i]);
        for (int c = 0; c < COLUMN_COUNT; c++)
            if ((int)strlen(rows[i][c]) > widths[c])
                widths[c] = (int)strlen(rows[i][c]);
    }
    for (int c = 0; c < COLUMN_COUNT; c++)
        printf("%-*s%s", c < COLUMN_COUNT - 1 ? widths[c] : 0, titles[c],
               c < COLUMN_COUNT - 1 ? "  " : "\n");
    for (uint32_t i = 0; i < count; i++)
        for (int c = 0; c < COLUMN_COUNT; c++)
            printf("%-*s%s", c < COLUMN_COUNT - 1 ? widths[c] : 0, rows[i][c],
                   c < COLUMN_COUNT - 1 ? "  " : "\n");
}

static void print_json(const struct ctl_exchange *exchanges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct ctl_exchange *e = &exchanges[i];
        json_t *object =
            e->reply ? json_incref(e->reply) : json_pack("{s:b,s:s}", "ok", 0, "error", e->trouble);
        json_object_set_new(object, "address", json_string(e->address));
        json_dumpf(object, stdout, JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(object);
    }
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
    json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    return x && y && json_equal(x, y);
}

static bool of_two_lineages(const json_t *a, const json_t *b)
{
    json_t *x = json_object_get(a, "lineage"), *y = json_object_get(b, "lineage");
    return x && y && !json_equal(x, y);
}

/* The first pair of one lineage that differs at the same index. */
static bool diverged(const struct ctl_exchange *exchanges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < i; j++) {
            const json_t *a = exchanges[i].reply, *b = exchanges[j].reply;
            if (!a || !b || !same(a, b, "cluster") || of_two_lineages(a, b) || !same(a, b, "index"))
                continue;
            if (same(a, b, "history") && same(a, b, "digest"))
                continue;
            char index[32];
            fprintf(stderr,
                    "tuttictl: %s and %s DIFFER at index %s: one of them is damaged; stop writing "
                    "and compare both histories\n",
                    exchanges[i].address, exchanges[j].address,
                    ctl_text(a, "index", index, sizeof index));
            return true;
        }
    return false;
}

/* Replicas of one cluster, one of which forced recovery left behind. */
static void tell_fenced(const struct ctl_exchange *exchanges, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < count; j++) {
            const json_t *old = exchanges[i].reply, *new = exchanges[j].reply;
            if (!old || !new || !same(old, new, "cluster") ||
                json_integer_value(json_object_get(old, "generation")) >=
                    json_integer_value(json_object_get(new, "generation")))
                continue;
            fprintf(stderr,
                    "tuttictl: %s is of an older lineage than %s: the cluster was recovered by "
                    "force without it; stop it, empty its data directory and add it again\n",
                    exchanges[i].address, exchanges[j].address);
            break;
        }
}

/* A snapshot is only of use if the others remember what follows it. */
static void tell_snapshots(const struct ctl_exchange *e)
{
    const json_t *transfer = json_object_get(e->reply, "transfer");
    json_int_t snapshots = json_integer_value(json_object_get(transfer, "snapshots"));
    if (snapshots > 0 && json_is_true(json_object_get(transfer, "receiving")))
        fprintf(stderr,
                "tuttictl: %s fetches another snapshot: what it fetched before (%lld) was too old "
                "when it was there; if that goes on raise [order] history_disk of the members\n",
                e->address, (long long)snapshots);
}

static enum ctl_exit print_troubles(const struct ctl_exchange *e)
{
    char text[256];
    if (e->code) {
        fprintf(stderr, "tuttictl: %s: %s\n", e->address, e->trouble);
        return CTL_UNREACHABLE;
    }
    if (!json_is_true(json_object_get(e->reply, "ok"))) {
        fprintf(stderr, "tuttictl: %s: %s\n", e->address,
                ctl_text(e->reply, "error", text, sizeof text));
        return CTL_FAILED;
    }
    if (*ctl_text(e->reply, "waiting_for", text, sizeof text))
        fprintf(stderr, "tuttictl: %s waits: %s\n", e->address, text);
    tell_snapshots(e);
    return CTL_OK;
}

enum ctl_exit ctl_status(const struct ctl_command *command)
{
    struct ctl_exchange exchanges[CTL_ADDRESSES_MAX];
    json_t *request = json_pack("{s:s}", "verb", "status");
    enum ctl_exit result = CTL_OK;
    for (uint32_t i = 0; i < command->address_count; i++)
        exchanges[i] = (struct ctl_exchange){.address = command->addresses[i], .request = request};
    if (!request || ctl_exchange_all(exchanges, command->address_count, command->timeout_ns)) {
        fprintf(stderr, "tuttictl: out of memory\n");
        json_decref(request);
        return CTL_FAILED;
    }
    if (command->json)
        print_json(exchanges, command->address_count);
    else
        print_table(exchanges, command->address_count);
    fflush(stdout);
    tell_fenced(exchanges, command->address_count);
    if (diverged(exchanges, command->address_count))
        result = CTL_FAILED;
    for (uint32_t i = 0; i < command->address_count; i++) {
        enum ctl_exit one = print_troubles(&exchanges[i]);
        result = result == CTL_OK ? one : result;
        json_decref(exchanges[i].reply);
    }
    json_decref(request);
    return result;
}
