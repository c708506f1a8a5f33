/* The command line of tutti-sim. */
#ifndef TUTTI_SIM_OPTIONS_H
#define TUTTI_SIM_OPTIONS_H

#include "tests/sim/cluster.h"

struct campaign_options {
    struct sim_options sim;
    uint64_t seed_from, seed_to; /* inclusive */
    uint32_t jobs;
    bool twice;  /* run each seed twice and compare */
    bool expect; /* a violation has to be found: exit 0 where one is, 1 where none is */
    bool quiet;
    uint64_t seconds; /* after so long no further seed begins; 0: no such limit */
    const char *keep; /* file to which the arguments of seeds that break something are added */
    const char *file; /* seeds with their options, one run a line */
};

/* 0; 1: help was printed; -EINVAL: said why on stderr. */
int options_parse(int argc, char **argv, struct campaign_options *ret_options);

/* The arguments that repeat one seed. */
void options_format(const struct sim_options *options, char text[512]);

#endif
