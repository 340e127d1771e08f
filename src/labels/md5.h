/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MD5 (RFC 1321), for the action `hashmod`, which has to give what Prometheus gives, and where all
 * that is asked for is that none can find a text with a given digest. */
#ifndef LABELS_MD5_H
#define LABELS_MD5_H

#include <stdint.h>

#include "base/slice.h"

#define MD5_SIZE 16

void md5(struct slice message, uint8_t digest[MD5_SIZE]);

#endif
