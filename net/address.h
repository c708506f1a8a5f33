/* Addresses as people write them: "host:port", "[::1]:7400". */
#ifndef TUTTI_NET_ADDRESS_H
#define TUTTI_NET_ADDRESS_H

#include "base/error.h"
#include "base/must.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { NET_HOST_BYTES = 256, NET_PORT_BYTES = 6 };

/* Split into host and port (0 .. 65535). 0 or -EINVAL (text). */
int net_address_split(const char *address, char ret_host[NET_HOST_BYTES],
                      char ret_port[NET_PORT_BYTES], struct error *error) WARN_UNUSED;

/* Without asking a resolver. 0, or -EINVAL where the host is a name. */
int net_address_numeric(const char *host, const char *port,
                        struct sockaddr_storage *ret) WARN_UNUSED;

/* A local address to bind to: "host" or "host:port", numeric. 0 or -EINVAL (text). */
int net_address_source(const char *source, struct sockaddr_storage *ret,
                       struct error *error) WARN_UNUSED;

/* "127.0.0.1:7400", "[::1]:7400". Returns `text`. */
char *net_address_format(const struct sockaddr_storage *address, char text[64]);

#endif
