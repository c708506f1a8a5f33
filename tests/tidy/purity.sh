#!/bin/sh
# Purity: what a library needs from outside is a short list (docs/protocol.md, gcs-fastdelivery/core.h).
#
#     purity.sh LIBRARY.a [ALLOWED...]
#
# Fails where an object calls anything that the library does not define itself and that is not
# allowed. A sanitizer adds symbols of its own: run it on a plain build.
set -eu
library=$1
shift
allowed="memcpy memset memmove memcmp must_fail __popcountdi2 __stack_chk_fail _GLOBAL_OFFSET_TABLE_ $*"

undefined=$(nm -u "$library" | awk '$1 == "U" {print $2}' | sort -u)
defined=$(nm --defined-only "$library" | awk 'NF == 3 {print $3}' | sort -u)
if [ -z "$defined" ]; then
    echo "purity: $library defines nothing" >&2
    exit 1
fi
code=0
for symbol in $undefined; do
    case " $allowed " in *" $symbol "*) continue ;; esac
    if ! printf '%s\n' "$defined" | grep -qxF -e "$symbol"; then
        echo "purity: $library calls $symbol" >&2
        code=1
    fi
done
exit $code
