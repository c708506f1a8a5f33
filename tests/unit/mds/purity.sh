#!/bin/sh
# The namespace library may call nothing but itself, base, proto, and libc's memory functions: no clock,
# socket, thread, file, random source or log. Usage: purity.sh ARCHIVE (NM: another nm)
set -eu
archive=$1 nm=${NM:-nm}
if "$nm" "$archive" | grep -q ' U __\(asan\|ubsan\|tsan\)_'; then
    echo "built with sanitizers, which add symbols: skipped"
    exit 77
fi
defined=$("$nm" --defined-only "$archive" | awk 'NF == 3 { print $3 }' | sort -u)
wanted=$("$nm" -u "$archive" | awk 'NF == 2 { print $2 }' | sort -u)
allowed='malloc|calloc|realloc|free|memcpy|memcmp|memset|memmove|strlen|must_fail'
allowed="$allowed|buffer_[a-z0-9_]*|hash[a-z0-9_]*|proto_[a-z0-9_]*"
allowed="$allowed|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_|__memcpy_chk|__memset_chk"
impure=$(for symbol in $wanted; do
    echo "$defined" | grep -qx "$symbol" || echo "$symbol" | grep -Exv "$allowed" || :
done)
if [ -n "$impure" ]; then
    echo "the namespace must not call: $impure"
    exit 1
fi
echo "$(echo "$wanted" | wc -l) symbols, all of them pure"
