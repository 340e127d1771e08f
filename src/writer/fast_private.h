/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of fast.h share: fast.c knows targets, blocks and places, fast_series.c writes. */
#ifndef WRITER_FAST_PRIVATE_H
#define WRITER_FAST_PRIVATE_H

#include "writer/fast.h"

/* A line without a place in the message. */
#define FAST_NO_START UINT32_MAX

#endif
