/* The targets without a fuzzer.
 *
 *     replay TARGET [DIRECTORY]     seeds, damaged seeds, and every file of the directory
 *     replay --seeds DIRECTORY      write the seeds to DIRECTORY/TARGET/
 *     replay --list                 names of the targets */
#include "base/prng.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_BYTES_MAX = 1 << 20, ROUNDS = 300 };

/* Memory of exactly this size, so that a sanitizer sees each byte beyond. */
static void run(const struct fuzz_target *target, const uint8_t *bytes, size_t count)
{
    uint8_t *exact = malloc(count ? count : 1);
    MUST(exact);
    if (count)
        memcpy(exact, bytes, count);
    target->one(exact, count);
    free(exact);
}

static unsigned replay_seeds(const struct fuzz_target *target)
{
    struct buffer seed, input;
    struct prng prng;
    unsigned number = 0;
    prng_init(&prng, 1);
    buffer_init(&seed, INPUT_BYTES_MAX);
    buffer_init(&input, INPUT_BYTES_MAX);
    for (; buffer_clear(&seed), target->seed(number, &seed); number++) {
        for (size_t cut = 0; cut <= seed.bytes; cut++)
            run(target, seed.data, cut);
        for (unsigned round = 0; round < ROUNDS; round++) {
            buffer_clear(&input);
            buffer_append(&input, seed.data, seed.bytes);
            fuzz_damage(&input, &prng);
            run(target, input.data, input.bytes);
        }
    }
    buffer_finish(&input);
    buffer_finish(&seed);
    return number;
}

static int replay_file(const struct fuzz_target *target, const char *path)
{
    static uint8_t bytes[INPUT_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (!file)
        return -errno;
    size_t count = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    run(target, bytes, count);
    return 0;
}

/* The number of files; an absent directory has none. */
static int replay_directory(const struct fuzz_target *target, const char *directory)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;
    int count = 0;
    while (dir && (entry = readdir(dir))) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (replay_file(target, path) < 0) {
            fprintf(stderr, "cannot read %s\n", path);
            exit(2);
        }
        count++;
    }
    if (dir)
        closedir(dir);
    return count;
}

static void write_seeds(const struct fuzz_target *target, const char *directory)
{
    char path[4096];
    struct buffer seed;
    buffer_init(&seed, INPUT_BYTES_MAX);
    snprintf(path, sizeof path, "%s/%s", directory, target->name);
    mkdir(directory, 0777);
    mkdir(path, 0777);
    for (unsigned number = 0; buffer_clear(&seed), target->seed(number, &seed); number++) {
        snprintf(path, sizeof path, "%s/%s/seed-%u", directory, target->name, number);
        FILE *file = fopen(path, "wb");
        if (!file || fwrite(seed.data, 1, seed.bytes, file) != seed.bytes || fclose(file) != 0) {
            fprintf(stderr, "cannot write %s\n", path);
            exit(2);
        }
    }
    buffer_finish(&seed);
}

static int replay(const char *name, const char *directory)
{
    for (const struct fuzz_target *const *t = fuzz_targets; *t; t++) {
        if (strcmp((*t)->name, name) != 0)
            continue;
        unsigned seeds = replay_seeds(*t);
        int files = directory ? replay_directory(*t, directory) : 0;
        printf("%s: %u seeds, %d files\n", name, seeds, files);
        return seeds > 0 ? 0 : 1;
    }
    fprintf(stderr, "no target \"%s\"\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "--seeds") == 0) {
        for (const struct fuzz_target *const *t = fuzz_targets; *t; t++)
            write_seeds(*t, argv[2]);
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (const struct fuzz_target *const *t = fuzz_targets; *t; t++)
            puts((*t)->name);
        return 0;
    }
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: %s TARGET [DIRECTORY] | --seeds DIRECTORY | --list\n", argv[0]);
        return 2;
    }
    return replay(argv[1], argc == 3 ? argv[2] : NULL);
}
