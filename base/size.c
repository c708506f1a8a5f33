/* Numbers with suffixes. */
#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* A non-negative decimal number; @ret_rest: what follows it, blanks skipped. */
static int number_parse(const char *text, double *ret_value, const char **ret_rest)
{
    char *end;
    if (!isdigit((unsigned char)text[0]) && text[0] != '.')
        return -EINVAL;
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return -EINVAL;
    double value = strtod(text, &end);
    if (end == text || !isfinite(value))
        return -EINVAL;
    while (isspace((unsigned char)*end))
        end++;
    *ret_value = value;
    *ret_rest = end;
    return 0;
}

static int scale(double value, double factor, uint64_t *ret)
{
    if (value * factor >= 0x1p63)
        return -ERANGE;
    *ret = (uint64_t)(value * factor);
    return 0;
}

int size_parse(const char *text, uint64_t *ret_bytes)
{
    static const char letters[] = "KMGT";
    double value;
    const char *rest;
    int rc = number_parse(text, &value, &rest);
    if (rc < 0)
        return rc;
    if (*rest == 0 || strcasecmp(rest, "B") == 0)
        return scale(value, 1, ret_bytes);
    double factor = 1;
    for (const char *l = letters; *l; l++) {
        factor *= 1024;
        if (toupper((unsigned char)*rest) != *l)
            continue;
        if (rest[1] && strcasecmp(rest + 1, "B") != 0 && strcasecmp(rest + 1, "iB") != 0)
            return -EINVAL;
        return scale(value, factor, ret_bytes);
    }
    return -EINVAL;
}

int duration_parse(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *unit;
        double ns;
    } units[] = {{"", 1e9}, {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9},
                 {"h", 3600e9}};
    double value;
    const char *rest;
    int rc = number_parse(text, &value, &rest);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(rest, units[i].unit) == 0)
            return scale(value, units[i].ns, ret_ns);
    return -EINVAL;
}

char *size_format(uint64_t bytes, char text[16])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = (double)bytes;
    int unit = 0;
    while (value >= 1024 && unit < 6) {
        value /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(text, 16, "%u B", (unsigned)bytes);
    else
        snprintf(text, 16, "%.1f %s", value, units[unit]);
    return text;
}
