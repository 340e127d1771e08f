/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Named places at which a test kills the process, as kill -9 would; crashpoint.def lists them all.
 * Compiled in only by ./configure --enable-crashpoints. LIMPET_CRASHPOINT=<name>:<n> in the
 * environment kills at the n-th pass of that name; LIMPET_CRASHPOINT_ONCE=<file> lets only the
 * process die that creates it, so that the restarted one goes on.
 */
#ifndef BASE_CRASHPOINT_H
#define BASE_CRASHPOINT_H

#ifdef WITH_CRASHPOINTS
void crashpoint_pass(const char *name);
#define CRASHPOINT(name) crashpoint_pass(name)
#else
#define CRASHPOINT(name) ((void)0)
#endif

#endif
