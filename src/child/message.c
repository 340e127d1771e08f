/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "child/message.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Room for one descriptor, aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int message_send(int socket, const struct heritage_message *message, int fd)
{
    union control control;
    memset(&control, 0, sizeof(control));
    struct iovec piece = {(void *)(uintptr_t)message, sizeof(*message)};
    struct msghdr envelope = {.msg_iov = &piece, .msg_iovlen = 1};
    if (fd >= 0) {
        control.header = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
        envelope.msg_control = control.bytes;
        envelope.msg_controllen = sizeof(control.bytes);
    }
    return sendmsg(socket, &envelope, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int descriptor_of(struct msghdr *envelope)
{
    int fd = -1;
    const struct cmsghdr *header = CMSG_FIRSTHDR(envelope);
    if (header != NULL && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    return fd;
}

int message_receive(int socket, struct heritage_message *ret_message, int *ret_fd)
{
    union control control;
    struct iovec piece = {ret_message, sizeof(*ret_message)};
    struct msghdr envelope = {.msg_iov = &piece,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control.bytes)};
    ssize_t len;
    do {
        len = recvmsg(socket, &envelope, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (len < 0 && errno == EINTR);
    if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    *ret_fd = len > 0 ? descriptor_of(&envelope) : -1;
    if (len == (ssize_t)sizeof(*ret_message))
        return 1;
    if (*ret_fd >= 0)
        close(*ret_fd);
    return -EPIPE;
}
