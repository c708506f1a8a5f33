/* Addresses as people write them. */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int port_copy(const char *port, char ret_port[NET_PORT_BYTES])
{
    size_t bytes = strlen(port);
    if (bytes < 1 || bytes >= NET_PORT_BYTES || strspn(port, "0123456789") != bytes ||
        atoi(port) > 65535)
        return -EINVAL;
    memcpy(ret_port, port, bytes + 1);
    return 0;
}

int net_address_split(const char *address, char ret_host[NET_HOST_BYTES],
                      char ret_port[NET_PORT_BYTES], struct error *error)
{
    const char *host = address, *colon = strrchr(address, ':');
    if (!colon)
        return error_set(error, -EINVAL, "\"%s\" has no port; write host:port", address);
    size_t host_bytes = (size_t)(colon - address);
    if (host_bytes >= 2 && host[0] == '[' && colon[-1] == ']') {
        host++;
        host_bytes -= 2;
    } else if (memchr(host, ':', host_bytes)) {
        return error_set(error, -EINVAL, "\"%s\" is ambiguous; write [host]:port", address);
    }
    if (host_bytes < 1 || host_bytes >= NET_HOST_BYTES)
        return error_set(error, -EINVAL, "\"%s\" has no host; write host:port", address);
    if (port_copy(colon + 1, ret_port) < 0)
        return error_set(error, -EINVAL, "\"%s\" in \"%s\" is no port", colon + 1, address);
    memcpy(ret_host, host, host_bytes);
    ret_host[host_bytes] = 0;
    return 0;
}

int net_address_numeric(const char *host, const char *port, struct sockaddr_storage *ret)
{
    struct sockaddr_storage storage = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&storage;
    uint16_t number = htons((uint16_t)atoi(port));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = number;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = number;
    } else {
        return -EINVAL;
    }
    *ret = storage;
    return 0;
}

int net_address_source(const char *source, struct sockaddr_storage *ret, struct error *error)
{
    char host[NET_HOST_BYTES], port[NET_PORT_BYTES];
    if (net_address_numeric(source, "0", ret) == 0)
        return 0;
    if (net_address_split(source, host, port, NULL) == 0 &&
        net_address_numeric(host, port, ret) == 0)
        return 0;
    return error_set(error, -EINVAL, "\"%s\" is no local address", source);
}

char *net_address_format(const struct sockaddr_storage *address, char text[64])
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host);
        snprintf(text, 64, "[%s]:%u", host, ntohs(v6->sin6_port));
    } else {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
        snprintf(text, 64, "%s:%u", host, ntohs(v4->sin_port));
    }
    return text;
}
