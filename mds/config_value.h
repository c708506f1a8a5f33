/* Parsers of single values of the configuration; config.c has the table that names them. */
#ifndef TUTTI_MDS_CONFIG_VALUE_H
#define TUTTI_MDS_CONFIG_VALUE_H

#include "mds/replica.h"

struct config_key {
    const char *section, *name;
    int (*parse)(const struct config_key *key, const char *value, void *to, struct error *error);
    size_t offset;        /* of the place in struct mds_config */
    uint64_t least, most; /* of numbers, sizes, durations (ns); of a text: `most` is its room */
};

/* All return 0 or -EINVAL with a text that says what would be right. */
int config_value_u8(const struct config_key *, const char *, void *, struct error *) WARN_UNUSED;
int config_value_u32(const struct config_key *, const char *, void *, struct error *) WARN_UNUSED;
int config_value_u64(const struct config_key *, const char *, void *, struct error *) WARN_UNUSED;
int config_value_size(const struct config_key *, const char *, void *, struct error *) WARN_UNUSED;
int config_value_size32(const struct config_key *, const char *, void *,
                        struct error *) WARN_UNUSED;
int config_value_duration(const struct config_key *, const char *, void *,
                          struct error *) WARN_UNUSED;
int config_value_text(const struct config_key *, const char *, void *, struct error *) WARN_UNUSED;
int config_value_bool(const struct config_key *, const char *, void *, struct error *) WARN_UNUSED;
int config_value_durability(const struct config_key *, const char *, void *,
                            struct error *) WARN_UNUSED;
/* "all", "none" or some of: subset ack behalf ahead, separated by commas. */
int config_value_measures(const struct config_key *, const char *, void *,
                          struct error *) WARN_UNUSED;
/* "1=host:port, 2=host:port, ..." into a struct replica_config. */
int config_value_members(const struct config_key *, const char *, void *,
                         struct error *) WARN_UNUSED;

/* One more member. -EINVAL: no id, an id that is there already, no address, too many. */
int config_member_add(struct replica_config *config, const char *node, const char *address,
                      struct error *error) WARN_UNUSED;

/* How many single-character edits make one text of the other (Levenshtein); long texts count as
 * far away. */
size_t config_edit_distance(const char *a, const char *b);

#endif
