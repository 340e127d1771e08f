/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a service says to systemd: one datagram to the socket named by $NOTIFY_SOCKET (sd_notify(3),
 * "Standalone Implementations"). Without that variable everything here does nothing.
 */
#ifndef SUPERVISOR_SD_NOTIFY_H
#define SUPERVISOR_SD_NOTIFY_H

#include <stdint.h>

/* "READY=1", "STOPPING=1" and so on, lines separated by \n. 0, or -errno, which is no disaster. */
int sd_notify_send(const char *state);

/* RELOADING=1 with the time that Type=notify-reload asks for; READY=1 has to follow. */
int sd_notify_reloading(int64_t mono_ns);

/* How often WATCHDOG=1 is to be sent: half of what systemd allows; 0 if it does not ask for it. */
int64_t sd_notify_watchdog_ns(void);

#endif
