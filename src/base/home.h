/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the files of this installation are: programs of the roles, modules. */
#ifndef BASE_HOME_H
#define BASE_HOME_H

#include <limits.h>
#include <stdbool.h>

/* The directory of the running program, without a slash at its end. False: it cannot be told. */
bool home_of_program(char ret_path[static PATH_MAX]);

/*
 * Where `make install` has put what only limpet starts or loads: ../libexec/limpet of the program's
 * directory, so that an installation may be staged or moved; if that is not there, the directory
 * that configure was told.
 */
void home_libexec(char ret_path[static PATH_MAX]);

/* The same for a program in that directory (for tests). */
void home_libexec_of(const char *program_directory, char ret_path[static PATH_MAX]);

#endif
