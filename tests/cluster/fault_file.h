/* The file that steers a preloaded library: what it says counts from when it appears until it is
 * removed. Each call that was struck is noted by a byte at the end of PATH.fired. */
#ifndef TUTTI_TESTS_CLUSTER_FAULT_FILE_H
#define TUTTI_TESTS_CLUSTER_FAULT_FILE_H

#include <stdbool.h>
#include <time.h>

enum { FAULT_TEXT_BYTES = 128 };

/* False: it is not there. @seen: of the file that was read last; @ret_text: what a new one says,
 * and empty where it is the same one. */
bool fault_file_look(const char *path, struct timespec *seen, char ret_text[FAULT_TEXT_BYTES]);

void fault_file_note(const char *path);

#endif
