/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Holds what a receiver has against what scrapers.h published. */
#ifndef TESTS_WRITER_LEDGER_H
#define TESTS_WRITER_LEDGER_H

#include "tests/unit/writer/receiver.h"

/*
 * The receiver has `published` different samples with the right values, and the first copies of
 * those of a series came in order. Failures end the test.
 */
void ledger_assert_complete(struct receiver *receiver, uint64_t published);

#endif
