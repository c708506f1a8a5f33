/* Names of reasons, for logs. */
#include "net/transport.h"

const char *net_reason_name(enum net_reason reason)
{
    switch (reason) {
    case NET_REASON_LOCAL:
        return "closed here";
    case NET_REASON_PEER:
        return "closed by the peer";
    case NET_REASON_CONNECT:
        return "could not connect";
    case NET_REASON_PROTOCOL:
        return "broke the protocol";
    case NET_REASON_TIMEOUT:
        return "timed out";
    case NET_REASON_SYSTEM:
        return "local error";
    }
    return "unknown";
}
