/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Certificates of the tests, made by certificates.sh (which has the list) with openssl(1). */
#ifndef TESTS_CERTIFICATES_H
#define TESTS_CERTIFICATES_H

#include "base/slice.h"

/* A directory with them; once a program. */
const char *certificates_directory(void);

/* The content of `name`, "server.pem" say. Lives as long as the program. */
struct slice certificates_file(const char *name);

/* Removes the directory. */
void certificates_remove(void);

#endif
