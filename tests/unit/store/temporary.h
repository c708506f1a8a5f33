/* A directory for one test, removed by it. */
#ifndef TUTTI_TESTS_UNIT_STORE_TEMPORARY_H
#define TUTTI_TESTS_UNIT_STORE_TEMPORARY_H

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static inline void temporary_make(char path[64])
{
    snprintf(path, 64, "/tmp/tutti-test-XXXXXX");
    cr_assert_not_null(mkdtemp(path));
}

static inline int temporary_remove_one(const char *path, const struct stat *status, int type,
                                       struct FTW *ftw)
{
    return remove(path);
}

static inline void temporary_remove(const char *path)
{
    cr_assert_eq(nftw(path, temporary_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
