/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The messages of shm/heritage.h over the supervision socket, at either end. */
#ifndef CHILD_MESSAGE_H
#define CHILD_MESSAGE_H

#include "base/check.h"
#include "shm/heritage.h"

/* fd: a descriptor that goes along, -1 for none; it stays the caller's too. 0 or -errno. */
int message_send(int socket, const struct heritage_message *message, int fd) MUST_USE;

/*
 * Never waits. 1: a message, and in *ret_fd the descriptor that came along, the caller's to close,
 * or -1. 0: nothing (more) is there. -EPIPE: the other side is dead, or does not speak this.
 */
int message_receive(int socket, struct heritage_message *ret_message, int *ret_fd) MUST_USE;

#endif
