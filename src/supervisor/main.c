/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * limpet: the command. Without a subcommand it is the supervisor: it reads the configuration, makes
 * or finds the shared memory, starts discovery, scrapers, writer and console, and from then on
 * only watches over them until it is told to end.
 */
#include <stdio.h>
#include <string.h>

#include "supervisor/check_config.h"
#include "supervisor/check_metrics.h"
#include "supervisor/flags.h"
#include "supervisor/supervisor.h"

#define URL_FLAG "--remote-write.url="

/* argv: what follows `check config`; -1: it is none of the forms. */
static int check_config(int argc, char **argv)
{
    if (argc == 1 && argv[0][0] != '-')
        return check_config_run(argv[0], stdout, stderr);
    if (argc == 2 && strcmp(argv[0], "--expand") == 0)
        return check_config_expand(argv[1], stdout, stderr);
    if (argc == 2 && strcmp(argv[0], "--kubernetes") == 0 &&
        strncmp(argv[1], URL_FLAG, strlen(URL_FLAG)) == 0)
        return check_config_kubernetes(argv[1] + strlen(URL_FLAG), stdout, stderr);
    return -1;
}

/* argv: what follows `check`. */
static int check_something(int argc, char **argv)
{
    int status =
        argc >= 1 && strcmp(argv[0], "config") == 0 ? check_config(argc - 1, argv + 1) : -1;
    if (status >= 0)
        return status;
    if (argc >= 1 && strcmp(argv[0], "metrics") == 0)
        return check_metrics_run(argc - 1, argv + 1, stdin, stdout, stderr);
    fputs(
        "usage: limpet check config FILE\n"
        "       limpet check config --expand FILE\n"
        "       limpet check config --kubernetes " URL_FLAG "URL\n"
        "       limpet check metrics [--content-type TYPE] [--created-as-start-timestamp] < BODY\n",
        stderr);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    struct options options;
    struct errctx why;
    if (argc >= 2 && strcmp(argv[1], "check") == 0)
        return check_something(argc - 2, argv + 2);
    int status = flags_parse(argc, argv, &options, &why);
    if (status != 0) {
        fprintf(stderr, "limpet: %s\n", why.text);
        return status;
    }
    if (options.help) {
        flags_help(stdout);
        return 0;
    }
    if (options.version) {
        puts("limpet, version " PACKAGE_VERSION);
        return 0;
    }
    return supervisor_run(&options);
}
