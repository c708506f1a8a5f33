/* Values of the configuration: text to numbers, sizes, durations, members, and what is wrong with
 * it.
 *
 * Edit distance: Wagner and Fischer, 1974, one row at a time. */
#include "mds/config_value.h"
#include "mds/config.h"
#include "base/size.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int number_parse(const struct config_key *key, const char *value, uint64_t *ret,
                        struct error *error)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno || number < key->least ||
        number > key->most)
        return error_set(error, -EINVAL, "a number of %llu to %llu is needed",
                         (unsigned long long)key->least, (unsigned long long)key->most);
    *ret = number;
    return 0;
}

int config_value_u8(const struct config_key *key, const char *value, void *to, struct error *error)
{
    uint64_t number = 0;
    int rc = number_parse(key, value, &number, error);
    if (rc == 0)
        *(uint8_t *)to = (uint8_t)number;
    return rc;
}

int config_value_u32(const struct config_key *key, const char *value, void *to, struct error *error)
{
    uint64_t number = 0;
    int rc = number_parse(key, value, &number, error);
    if (rc == 0)
        *(uint32_t *)to = (uint32_t)number;
    return rc;
}

int config_value_u64(const struct config_key *key, const char *value, void *to, struct error *error)
{
    return number_parse(key, value, to, error);
}

int config_value_size(const struct config_key *key, const char *value, void *to,
                      struct error *error)
{
    uint64_t bytes;
    char least[16], most[16];
    if (size_parse(value, &bytes) < 0 || bytes < key->least || bytes > key->most)
        return error_set(error, -EINVAL, "a size of %s to %s is needed, such as 64K or 16M",
                         size_format(key->least, least), size_format(key->most, most));
    *(uint64_t *)to = bytes;
    return 0;
}

int config_value_size32(const struct config_key *key, const char *value, void *to,
                        struct error *error)
{
    uint64_t bytes;
    int rc = config_value_size(key, value, &bytes, error);
    if (rc == 0)
        *(uint32_t *)to = (uint32_t)bytes;
    return rc;
}

int config_value_duration(const struct config_key *key, const char *value, void *to,
                          struct error *error)
{
    uint64_t ns;
    if (duration_parse(value, &ns) < 0 || ns < key->least || ns > key->most)
        return error_set(error, -EINVAL,
                         "a duration of at least %.3g s is needed, such as 50ms or 2m",
                         (double)key->least / 1e9);
    *(uint64_t *)to = ns;
    return 0;
}

int config_value_text(const struct config_key *key, const char *value, void *to,
                      struct error *error)
{
    size_t bytes = strlen(value);
    if (bytes < key->least)
        return error_set(error, -EINVAL, "it is empty");
    if (bytes >= key->most)
        return error_set(error, -EINVAL, "longer than %llu characters",
                         (unsigned long long)key->most - 1);
    memcpy(to, value, bytes + 1);
    return 0;
}

int config_value_bool(const struct config_key *key, const char *value, void *to,
                      struct error *error)
{
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(value, words[i]) == 0) {
            *(bool *)to = i & 1;
            return 0;
        }
    return error_set(error, -EINVAL, "yes or no is needed");
}

int config_value_durability(const struct config_key *key, const char *value, void *to,
                            struct error *error)
{
    enum gcs_durability *durability = to;
    if (strcmp(value, "disk") == 0)
        *durability = GCS_DURABILITY_DISK;
    else if (strcmp(value, "memory") == 0)
        *durability = GCS_DURABILITY_MEMORY;
    else
        return error_set(error, -EINVAL, "disk or memory is needed");
    return 0;
}

static int measure_take(struct gcs_measures *measures, const char *word, struct error *error)
{
    if (strcmp(word, "subset") == 0)
        measures->subset_wait = true;
    else if (strcmp(word, "ack") == 0)
        measures->fast_acknowledgement = true;
    else if (strcmp(word, "behalf") == 0)
        measures->on_behalf = true;
    else if (strcmp(word, "ahead") == 0)
        measures->promise_ahead = true;
    else if (strcmp(word, "all") == 0)
        *measures = (struct gcs_measures){true, true, true, true};
    else if (strcmp(word, "none") != 0)
        return error_set(error, -EINVAL,
                         "all, none, or some of subset, ack, behalf, ahead is needed");
    return 0;
}

/* Calls `take` for each word between commas and blanks. */
static int each_word(const char *value, int (*take)(void *to, char *word, struct error *error),
                     void *to, struct error *error)
{
    char text[2048], *rest = NULL;
    if (strlen(value) >= sizeof text)
        return error_set(error, -EINVAL, "too long");
    strcpy(text, value);
    for (char *word = strtok_r(text, ", \t\n", &rest); word;
         word = strtok_r(NULL, ", \t\n", &rest)) {
        int rc = take(to, word, error);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int measures_word(void *to, char *word, struct error *error)
{
    return measure_take(to, word, error);
}

int config_value_measures(const struct config_key *key, const char *value, void *to,
                          struct error *error)
{
    *(struct gcs_measures *)to = (struct gcs_measures){0};
    return each_word(value, measures_word, to, error);
}

int config_member_add(struct replica_config *config, const char *node, const char *address,
                      struct error *error)
{
    static const struct config_key id = {.least = 1, .most = 255};
    uint64_t number = 0;
    if (number_parse(&id, node, &number, error) < 0)
        return error_set(error, -EINVAL, "member.%s: an id of 1 to 255 is needed", node);
    for (uint32_t i = 0; i < config->member_count; i++)
        if (config->members[i].node == number)
            return error_set(error, -EINVAL,
                             "member.%s is given twice; each replica needs an id of its own", node);
    if (config_address_check(address, false) < 0)
        return error_set(error, -EINVAL, "member.%s = %.200s: not an address; write HOST:PORT",
                         node, address);
    if (config->member_count == GCS_MEMBER_MAX)
        return error_set(error, -EINVAL, "more than %d members", GCS_MEMBER_MAX);
    struct gcs_member *member = &config->members[config->member_count++];
    member->node = (uint8_t)number;
    strcpy(member->address, address); /* its length was checked with the address */
    return 0;
}

static int members_word(void *to, char *word, struct error *error)
{
    char *equal = strchr(word, '=');
    if (!equal)
        return error_set(error, -EINVAL, "'%.200s': write ID=HOST:PORT", word);
    *equal = 0;
    return config_member_add(to, word, equal + 1, error);
}

int config_value_members(const struct config_key *key, const char *value, void *to,
                         struct error *error)
{
    return each_word(value, members_word, to, error);
}

int config_address_check(const char *address, bool any_port)
{
    const char *colon = strrchr(address, ':');
    if (!colon || colon == address || strlen(address) >= sizeof((struct gcs_member *)0)->address)
        return -EINVAL;
    bool bracketed = address[0] == '[';
    if (bracketed ? colon[-1] != ']' : memchr(address, ':', (size_t)(colon - address)) != NULL)
        return -EINVAL;
    if (strspn(colon + 1, "0123456789") != strlen(colon + 1) || strlen(colon + 1) > 5 || !colon[1])
        return -EINVAL;
    long port = strtol(colon + 1, NULL, 10);
    return port > 65535 || (port == 0 && !any_port) ? -EINVAL : 0;
}

bool config_address_is_loopback(const char *address)
{
    if (strncmp(address, "127.", 4) == 0)
        return address[strspn(address, "0123456789.")] == ':';
    return strncmp(address, "localhost:", 10) == 0 || strncmp(address, "[::1]:", 6) == 0;
}

bool config_address_is_any(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
}

static size_t least_of(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

size_t config_edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    size_t row[LONGEST + 1], a_bytes = strlen(a), b_bytes = strlen(b);
    if (a_bytes > LONGEST || b_bytes > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= b_bytes; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t above = row[j];
            row[j] = least_of(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_bytes];
}
