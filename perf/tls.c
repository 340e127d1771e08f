/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What TLS costs: CPU time of whole handshakes, of such that go on from the connection before, and
 * of a body. The peer is any TLS server of this machine, for example
 *
 *     openssl s_server -accept 4433 -cert server.pem -key server.key -HTTP [-tls1_2]
 *     perf/tls 127.0.0.1 4433 ca.pem 200 /large-file
 *
 * The certificate has to be one for 127.0.0.1. Everything is done with the file's module, without
 * the event loop, so that nothing else is counted.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "net/tls.h"

struct peer {
    struct sockaddr_in address;
    const char *host;
    const char *path;
    struct net_tls_context *context;
};

static uint8_t received[65536];
static uint8_t content[65536];

static double cpu_seconds(void)
{
    struct timespec now;
    check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void flush(int fd, struct net_tls_session *session)
{
    struct slice output;
    while ((output = net_tls_output(session)).len > 0)
        check(send(fd, output.ptr, output.len, MSG_NOSIGNAL) == (ssize_t)output.len);
}

static bool feed(int fd, struct net_tls_session *session)
{
    ssize_t n = recv(fd, received, sizeof(received), 0);
    if (n > 0)
        net_tls_feed(session, received, (size_t)n);
    return n > 0;
}

static void shake_hands(int fd, struct net_tls_session *session)
{
    int r;
    while ((r = net_tls_handshake(session)) == 0) {
        flush(fd, session);
        check(feed(fd, session));
    }
    if (r < 0)
        fprintf(stderr, "%s\n", net_tls_error(session));
    check(r == 1);
    flush(fd, session);
}

/* Asks for the path; how many bytes came. */
static uint64_t get(int fd, struct net_tls_session *session, const char *path)
{
    char request[1024];
    int len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\n\r\n", path);
    uint64_t total = 0;
    check(net_tls_write(session, request, (size_t)len) == len);
    flush(fd, session);
    while (feed(fd, session)) {
        int n;
        while ((n = net_tls_read(session, content, sizeof(content))) > 0)
            total += (uint64_t)n;
        if (n < 0)
            break;
    }
    return total;
}

struct visit {
    double handshake; /* CPU seconds */
    double body;
    uint64_t bytes;
    bool resumed;
};

static struct visit visit(const struct peer *peer, struct net_tls_ticket **ticket)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0);
    if (connect(fd, (const struct sockaddr *)&peer->address, sizeof(peer->address)) != 0) {
        perror("connect");
        exit(1);
    }
    double start = cpu_seconds();
    struct net_tls_session *session =
        net_tls_session_new(peer->context, slice_of(peer->host), *ticket);
    check(session != NULL);
    shake_hands(fd, session);
    double middle = cpu_seconds();
    uint64_t bytes = get(fd, session, peer->path);
    struct visit done = {middle - start, cpu_seconds() - middle, bytes,
                         net_tls_is_resumed(session)};
    *ticket = net_tls_ticket_next(session, *ticket);
    net_tls_session_free(session);
    close(fd);
    return done;
}

static void measure(const struct peer *peer, int count, bool resumes)
{
    struct net_tls_ticket *ticket = NULL;
    struct visit sum = {0};
    int resumed = 0;
    for (int i = 0; i < count; i++) {
        struct visit one = visit(peer, &ticket);
        if (!resumes) {
            net_tls_ticket_free(ticket);
            ticket = NULL;
        }
        sum.handshake += one.handshake;
        sum.body += one.body;
        sum.bytes += one.bytes;
        resumed += one.resumed;
    }
    net_tls_ticket_free(ticket);
    printf("%d handshakes, %d resumed: %.3f ms each; %.1f MB: %.2f ms/MB\n", count, resumed,
           1e3 * sum.handshake / count, (double)sum.bytes / 1e6,
           sum.bytes > 0 ? 1e9 * sum.body / (double)sum.bytes : 0.0);
}

int main(int argc, char **argv)
{
    static char ca[65536];
    struct errctx why = {""};
    if (argc != 6) {
        fprintf(stderr, "usage: %s ADDRESS PORT CA COUNT PATH\n", argv[0]);
        return 2;
    }
    int fd = open(argv[3], O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, ca, sizeof(ca)) : -1;
    check(len > 0);
    struct peer peer = {.host = argv[1], .path = argv[5]};
    peer.address = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)strtoul(argv[2], NULL, 10))};
    check(inet_pton(AF_INET, argv[1], &peer.address.sin_addr) == 1);
    struct net_tls_options options = {.ca = slice_make(ca, (size_t)len)};
    if (net_tls_load(getenv("LIMPET_TLS_MODULE"), &why) != 0 ||
        net_tls_context_new(&options, &peer.context, &why) != 0) {
        fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    measure(&peer, (int)strtol(argv[4], NULL, 10), false);
    measure(&peer, (int)strtol(argv[4], NULL, 10), true);
    net_tls_context_free(peer.context);
    return 0;
}
