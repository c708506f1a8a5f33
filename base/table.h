/* Hash tables: uthash, told that memory may be short.
 *
 * By itself it ends the process then, without a word. Here an entry that could not be added has no
 * table: `hh.tbl` is NULL, it is in no table, and whoever added it has to look. */
#ifndef TUTTI_BASE_TABLE_H
#define TUTTI_BASE_TABLE_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#endif
