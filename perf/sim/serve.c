/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/check.h"
#include "base/clock.h"
#include "sim/serve_request.h"

#define SCRATCH_SIZE ((size_t)64 * 1024)
#define EVENTS_MAX   256
#define BACKLOG      65535
#define KEEP_BUFFER  ((size_t)1024 * 1024) /* a larger one is given back once it is empty */

/* Edge-triggered: a socket that was read until it had no more is not looked at again. */
#define EVENTS_READ (EPOLLIN | EPOLLRDHUP | EPOLLET)
#define EVENTS_BOTH (EVENTS_READ | EPOLLOUT)

struct listener {
    struct listener *next;
    int fd;
    uint32_t tag;
    bool stamped, followed;
};

struct serve {
    struct serve_handler handler;
    int epoll_fd;
    int signal_fd;
    struct listener *listeners;
    struct serve_conn *conns;
    struct serve_conn *delay_first, *delay_last; /* by due_ns */
    int64_t now_wall_ns;                         /* when the last epoll_wait returned */
    uint32_t accepted;
    bool stop;
    char scratch[SCRATCH_SIZE]; /* what was read last; small requests never leave it */
};

/* In epoll_event.data: 0 is the signal descriptor, an odd pointer a listener, else a connection. */
static uint64_t event_of_listener(const struct listener *listener)
{
    return (uint64_t)(uintptr_t)listener | 1;
}

int serve_new(const struct serve_handler *handler, struct serve **ret_serve, struct errctx *errctx)
{
    struct serve *serve = calloc(1, sizeof(*serve));
    check(serve != NULL);
    serve->handler = *handler;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    serve->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    serve->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN};
    if (serve->epoll_fd < 0 || serve->signal_fd < 0 ||
        epoll_ctl(serve->epoll_fd, EPOLL_CTL_ADD, serve->signal_fd, &event) < 0) {
        int err = -errno;
        free(serve);
        return err_set(errctx, err, "cannot set up epoll: %s", err_text(err));
    }
    *ret_serve = serve;
    return 0;
}

static int open_listener(const struct serve_listen *options, int *ret_fd, struct errctx *errctx)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(options->port)};
    if (inet_pton(AF_INET, options->address, &address.sin_addr) != 1)
        return err_set(errctx, -EINVAL, "\"%s\" is not an IPv4 address", options->address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(errctx, -errno, "cannot make a socket: %s", err_text(-errno));
    int one = 1;
    int err = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (options->stamped) /* accepted sockets inherit this, too */
        setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* accepted sockets inherit it */
    if (options->device != NULL && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options->device,
                                              (socklen_t)strlen(options->device)) < 0)
        err = err_set(errctx, -errno,
                      "cannot bind to device \"%s\" (%s), which keeps the port "
                      "closed to the network; serve single ports of 127.0.0.1 instead",
                      options->device, err_text(-errno));
    else if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, BACKLOG) < 0)
        err = err_set(errctx, -errno, "cannot listen on %s:%u: %s", options->address,
                      (unsigned)options->port, err_text(-errno));
    if (err < 0) {
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

int serve_listen(struct serve *serve, const struct serve_listen *options, uint16_t *ret_port,
                 struct errctx *errctx)
{
    int fd = -1;
    int err = open_listener(options, &fd, errctx);
    if (err < 0)
        return err;
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    check(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *ret_port = ntohs(address.sin_port);

    struct listener *listener = malloc(sizeof(*listener));
    check(listener != NULL);
    *listener =
        (struct listener){serve->listeners, fd, options->tag, options->stamped, options->followed};
    serve->listeners = listener;
    struct epoll_event event = {.events = EPOLLIN};
    event.data.u64 = event_of_listener(listener);
    if (epoll_ctl(serve->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return err_set(errctx, -errno, "cannot watch a socket: %s", err_text(-errno));
    return 0;
}

static void leave_delay_list(struct serve_conn *conn)
{
    if (!conn->delayed)
        return;
    struct serve *serve = conn->serve;
    if (conn->delay_prev != NULL)
        conn->delay_prev->delay_next = conn->delay_next;
    else
        serve->delay_first = conn->delay_next;
    if (conn->delay_next != NULL)
        conn->delay_next->delay_prev = conn->delay_prev;
    else
        serve->delay_last = conn->delay_prev;
    conn->delayed = false;
}

void serve_delay(struct serve_conn *conn, int64_t delay_ms)
{
    struct serve *serve = conn->serve;
    check(conn->busy && !conn->delayed);
    conn->due_ns = clock_mono_ns() + delay_ms * NS_PER_MS;
    struct serve_conn *before = serve->delay_last;
    while (before != NULL && before->due_ns > conn->due_ns)
        before = before->delay_prev;
    struct serve_conn *after = before == NULL ? serve->delay_first : before->delay_next;
    conn->delay_prev = before;
    conn->delay_next = after;
    *(before == NULL ? &serve->delay_first : &before->delay_next) = conn;
    *(after == NULL ? &serve->delay_last : &after->delay_prev) = conn;
    conn->delayed = true;
}

/* Marks the connection; the loop frees it when no caller holds it any more. */
static void close_conn(struct serve_conn *conn)
{
    if (conn->dead)
        return;
    leave_delay_list(conn);
    close(conn->fd);
    conn->dead = true;
}

void serve_reset(struct serve_conn *conn)
{
    struct linger linger = {1, 0};
    setsockopt(conn->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close_conn(conn);
}

static void free_if_dead(struct serve_conn *conn)
{
    if (!conn->dead)
        return;
    struct serve *serve = conn->serve;
    if (serve->handler.on_close != NULL)
        serve->handler.on_close(serve->handler.ctx, conn);
    if (conn->next != NULL)
        conn->next->prev = conn->prev;
    *(conn->prev != NULL ? &conn->prev->next : &serve->conns) = conn->next;
    free(conn->in);
    strbuf_fini(&conn->out);
    free(conn);
}

static void watch(struct serve_conn *conn, uint32_t events)
{
    if (conn->events == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = conn};
    check(epoll_ctl(conn->serve->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event) == 0);
    conn->events = events;
}

/* TCP_ESTABLISHED and so on; TCP_CLOSE after a reset. */
static int state_of(const struct serve_conn *conn)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    return getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_state
                                                                         : TCP_CLOSE;
}

static void finish_answer(struct serve_conn *conn)
{
    conn->busy = false;
    /* One that closes with bytes unread resets; one that has read all of it just closes. */
    conn->peer_left |= conn->followed && state_of(conn) == TCP_CLOSE;
    if (conn->close_after)
        close_conn(conn);
    if (conn->serve->handler.on_sent != NULL)
        conn->serve->handler.on_sent(conn->serve->handler.ctx, conn);
}

void serve_send(struct serve_conn *conn, struct slice head, struct slice body, bool close_after)
{
    check(conn->busy && !conn->dead && conn->out.len == 0);
    conn->close_after |= close_after;
    /* Also where the peer has only shut down its side: no client of ours does that. */
    conn->peer_left |= conn->followed && state_of(conn) != TCP_ESTABLISHED;
    struct iovec parts[2];
    memcpy(&parts[0].iov_base, &head.ptr, sizeof(head.ptr));
    memcpy(&parts[1].iov_base, &body.ptr, sizeof(body.ptr));
    parts[0].iov_len = head.len;
    parts[1].iov_len = body.len;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body.len > 0 ? 2 : 1};
    ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) {
        conn->peer_left = true;
        close_conn(conn);
        return;
    }
    size_t done = sent < 0 ? 0 : (size_t)sent;
    if (done == head.len + body.len) {
        finish_answer(conn);
        return;
    }
    if (done < head.len)
        strbuf_add(&conn->out, head.ptr + done, head.len - done);
    size_t skip = done > head.len ? done - head.len : 0;
    strbuf_add(&conn->out, body.ptr + skip, body.len - skip);
    conn->out_sent = 0;
    watch(conn, EVENTS_BOTH);
}

static void send_rest(struct serve_conn *conn)
{
    while (conn->out_sent < conn->out.len) {
        ssize_t sent = send(conn->fd, conn->out.text + conn->out_sent,
                            conn->out.len - conn->out_sent, MSG_NOSIGNAL);
        if (sent < 0) {
            conn->peer_left |= errno != EAGAIN;
            if (errno != EAGAIN)
                close_conn(conn);
            return;
        }
        conn->out_sent += (size_t)sent;
    }
    conn->out.len = 0;
    if (conn->out.cap > KEEP_BUFFER)
        strbuf_fini(&conn->out);
    watch(conn, EVENTS_READ);
    finish_answer(conn);
}

static void refuse(struct serve_conn *conn, int status)
{
    conn->busy = true;
    conn->close_after = true;
    serve_answer(conn, status, "", "text/plain", slice_of("bad request\n"));
}

/* Hands out the requests that are complete; returns how many bytes they took. */
static size_t take_requests(struct serve_conn *conn, const char *data, size_t len)
{
    struct serve_handler *handler = &conn->serve->handler;
    size_t taken = 0;
    while (!conn->busy && !conn->dead && taken < len) {
        struct serve_request request = {.arrival_ns = conn->arrival_ns};
        struct serve_parsed parsed;
        serve_request_parse(data + taken, len - taken, &request, &parsed);
        if (parsed.status != 0) {
            refuse(conn, parsed.status);
            return len;
        }
        if (parsed.head_complete && !conn->head_seen && handler->on_head != NULL) {
            conn->head_seen = true;
            if (!handler->on_head(handler->ctx, conn, &request))
                return len;
        }
        conn->in_missing = parsed.missing;
        if (parsed.total == 0)
            break;
        conn->head_seen = false;
        conn->busy = true;
        conn->close_after = parsed.close_after;
        taken += parsed.total;
        handler->on_request(handler->ctx, conn, &request);
    }
    return taken;
}

/* Requests that were waiting in the buffer for the rest of them, or the answer before. */
static void take_buffered(struct serve_conn *conn)
{
    if (conn->dead || conn->busy || conn->in_len == 0)
        return;
    size_t taken = take_requests(conn, conn->in, conn->in_len);
    conn->in_len -= taken;
    memmove(conn->in, conn->in + taken, conn->in_len);
    if (conn->in_len == 0 && conn->in_cap > KEEP_BUFFER) {
        free(conn->in);
        conn->in = NULL;
        conn->in_cap = 0;
    }
}

/* Room behind what is buffered, for the rest of the request if that is known. */
static struct iovec room_in(struct serve_conn *conn)
{
    size_t want =
        conn->in_len + (conn->in_missing > SCRATCH_SIZE ? conn->in_missing : SCRATCH_SIZE);
    if (want > conn->in_cap) {
        conn->in_cap = want;
        conn->in = realloc(conn->in, conn->in_cap);
        check(conn->in != NULL);
    }
    return (struct iovec){conn->in + conn->in_len, conn->in_cap - conn->in_len};
}

/* Like recv. ret_arrival_ns: what the kernel says, else the time of this turn. */
static ssize_t receive(const struct serve_conn *conn, struct iovec room, int64_t *ret_arrival_ns)
{
    *ret_arrival_ns = conn->serve->now_wall_ns;
    if (!conn->stamped)
        return recv(conn->fd, room.iov_base, room.iov_len, 0);
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct msghdr message = {.msg_iov = &room,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(conn->fd, &message, 0);
    const struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header != NULL && header->cmsg_level == SOL_SOCKET &&
        header->cmsg_type == SCM_TIMESTAMPNS) {
        struct timespec stamp;
        memcpy(&stamp, CMSG_DATA(header), sizeof(stamp));
        *ret_arrival_ns = stamp.tv_sec * NS_PER_S + stamp.tv_nsec;
    }
    return got;
}

/* Takes what has been received, which is in the scratch or behind what is buffered. */
static void take_received(struct serve_conn *conn, bool is_in_scratch, size_t got)
{
    if (!is_in_scratch) {
        conn->in_len += got;
        take_buffered(conn);
        return;
    }
    const char *bytes = conn->serve->scratch;
    size_t taken = conn->busy ? 0 : take_requests(conn, bytes, got);
    if (conn->dead || taken == got)
        return;
    struct iovec room = room_in(conn);
    memcpy(room.iov_base, bytes + taken, got - taken);
    conn->in_len += got - taken;
}

/* Reads once; returns whether there is more to read: the end, too, which is not told of again.
 * What has a buffer is read into that. */
static bool read_some(struct serve_conn *conn, bool is_ended)
{
    struct serve *serve = conn->serve;
    bool is_in_scratch = conn->in_cap == 0;
    struct iovec room = {serve->scratch, sizeof(serve->scratch)};
    if (!is_in_scratch)
        room = room_in(conn);
    int64_t arrival_ns;
    ssize_t got = receive(conn, room, &arrival_ns);
    if (got <= 0) {
        conn->peer_closed |= got == 0;
        /* It had not read all. */
        conn->peer_left |= got < 0 && (errno == ECONNRESET || errno == EPIPE);
        if (got == 0 || errno != EAGAIN)
            close_conn(conn);
        return false;
    }
    if (conn->in_len == 0)
        conn->arrival_ns = arrival_ns;
    take_received(conn, is_in_scratch, (size_t)got);
    return is_ended || (size_t)got == room.iov_len;
}

static void accept_all(struct serve *serve, const struct listener *listener)
{
    for (;;) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0)
            return;
        struct serve_conn *conn = calloc(1, sizeof(*conn));
        check(conn != NULL);
        conn->fd = fd;
        conn->number = ++serve->accepted;
        conn->stamped = listener->stamped;
        conn->followed = listener->followed;
        conn->tag = listener->tag;
        conn->serve = serve;
        conn->events = EVENTS_READ;
        struct epoll_event event = {.events = EVENTS_READ, .data.ptr = conn};
        const struct serve_handler *handler = &serve->handler;
        if ((handler->on_accept != NULL && !handler->on_accept(handler->ctx, conn)) ||
            epoll_ctl(serve->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
            close(fd);
            free(conn);
            continue;
        }
        conn->next = serve->conns;
        if (conn->next != NULL)
            conn->next->prev = conn;
        serve->conns = conn;
    }
}

static void handle_event(struct serve *serve, const struct epoll_event *event)
{
    if (event->data.u64 == 0) {
        serve->stop = true;
        return;
    }
    if ((event->data.u64 & 1) != 0) {
        accept_all(serve, (const struct listener *)(uintptr_t)(event->data.u64 - 1));
        return;
    }
    struct serve_conn *conn = event->data.ptr;
    if ((event->events & EPOLLOUT) != 0) {
        send_rest(conn);
        take_buffered(conn);
    }
    bool is_ended = (event->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    bool is_more = is_ended || (event->events & EPOLLIN) != 0;
    while (!conn->dead && is_more)
        is_more = read_some(conn, is_ended);
    free_if_dead(conn);
}

static void run_delayed(struct serve *serve)
{
    int64_t now_ns = serve->delay_first == NULL ? 0 : clock_mono_ns();
    while (serve->delay_first != NULL && serve->delay_first->due_ns <= now_ns) {
        struct serve_conn *conn = serve->delay_first;
        leave_delay_list(conn);
        serve->handler.on_delay(serve->handler.ctx, conn);
        take_buffered(conn);
        free_if_dead(conn);
    }
}

static int next_timeout_ms(const struct serve *serve)
{
    if (serve->delay_first == NULL)
        return -1;
    int64_t left_ns = serve->delay_first->due_ns - clock_mono_ns();
    return left_ns <= 0 ? 0 : (int)((left_ns + NS_PER_MS - 1) / NS_PER_MS);
}

void serve_run(struct serve *serve)
{
    struct epoll_event events[EVENTS_MAX];
    while (!serve->stop) {
        int count = epoll_wait(serve->epoll_fd, events, EVENTS_MAX, next_timeout_ms(serve));
        check(count >= 0 || errno == EINTR);
        serve->now_wall_ns = clock_wall_ns();
        for (int i = 0; i < count; i++)
            handle_event(serve, &events[i]);
        run_delayed(serve);
    }
}

void serve_free(struct serve *serve)
{
    while (serve->conns != NULL) {
        struct serve_conn *conn = serve->conns;
        close_conn(conn);
        free_if_dead(conn);
    }
    while (serve->listeners != NULL) {
        struct listener *listener = serve->listeners;
        serve->listeners = listener->next;
        close(listener->fd);
        free(listener);
    }
    close(serve->epoll_fd);
    close(serve->signal_fd);
    free(serve);
}
