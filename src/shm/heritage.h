/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a child inherits from the supervisor: descriptors at fixed numbers, and the words they
 * exchange over the supervision socket. Only what a role needs is open in it.
 */
#ifndef SHM_HERITAGE_H
#define SHM_HERITAGE_H

#include <stdint.h>

enum heritage_fd {
    HERITAGE_LOG = 2,
    HERITAGE_SUPERVISION = 3, /* SOCK_SEQPACKET of struct heritage_message */
    HERITAGE_CONFIG = 4,      /* frozen configuration (config/freeze.h) */
    HERITAGE_CONTROL = 5,     /* segment */
    HERITAGE_TARGETS = 6,     /* segment; discovery, scrapers, console */
    HERITAGE_DELIVERY = 7,    /* segment; writer, console */
    HERITAGE_DOORBELL = 8,    /* eventfd: scrapers ring, the writer waits */
    HERITAGE_TARGETS_BELL = 9, /* eventfd of one scraper: the target table has changed */
    HERITAGE_LISTEN = 10,     /* console: the first listening socket; --listeners of them */
    HERITAGE_RINGS = 32,      /* ring i at 32 + 2i, its series segment at 33 + 2i */
    HERITAGE_BELLS = 192      /* discovery: the targets bell of scraper i at 192 + i */
};

#define HERITAGE_RING(i)   (HERITAGE_RINGS + 2 * (int)(i))
#define HERITAGE_SERIES(i) (HERITAGE_RINGS + 2 * (int)(i) + 1)
#define HERITAGE_BELL(i)   (HERITAGE_BELLS + (int)(i))

enum heritage_word {
    /* child to supervisor */
    HERITAGE_READY = 1,
    HERITAGE_RELOAD_REQUEST, /* console: POST /-/reload */
    HERITAGE_QUIT_REQUEST,   /* console: POST /-/quit */
    /* supervisor to child */
    HERITAGE_STOP, /* limpet ends: drain; value = deadline in ms from now */
    HERITAGE_ROLL  /* a successor will follow: finish quickly and leave */
};

/* The end of the stream means that the other side is gone. */
struct heritage_message {
    uint32_t word;
    uint32_t reserved;
    uint64_t value;
    char text[48];
};
_Static_assert(sizeof(struct heritage_message) == 64, "a message is 64 bytes");

#endif
