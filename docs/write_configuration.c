/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes docs/configuration.md from the schema table to stdout. `make docs` runs it, and a test
 * compares its output with the file that is checked in.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "config/schema.h"

static const char *const intro =
    "# Configuration\n"
    "\n"
    "<!-- Written by `make docs` from src/config/schema_table.c; change it there. -->\n"
    "\n"
    "limpet reads Prometheus' configuration file, as an agent: the same keys, defaults and\n"
    "rules. Its own settings stand in one block more, `limpet`. `limpet check config FILE` says\n"
    "whether a file is valid and what would run.\n"
    "\n"
    "* An unknown key, a key that is given twice and an empty list entry are errors, everywhere.\n"
    "  An empty file is valid.\n"
    "* A key whose function is missing in this version may only have its default value; anything\n"
    "  else is an error. Nothing is ignored silently.\n"
    "* Durations: `0`, or numbers with the units `y w d h m s ms`, each at most once and in this\n"
    "  order, for example `1m30s`. Sizes: numbers with units that are powers of 1024 (`B`, `KiB`\n"
    "  or `KB`, `MiB`, `GiB` ...).\n"
    "* Relative file names count from the directory of the configuration file.\n"
    "* Environment variables are put into the values of `external_labels` and nowhere else.\n"
    "* A file is one YAML document. Anchors, aliases and merge keys (`<<`) work; explicit keys "
    "win\n"
    "  over merged ones. A key without a value has the zero of its type, as in Prometheus, and a\n"
    "  block without content its defaults.\n"
    "* Files of `file_sd_configs` whose names end in .json are read as JSON, others as YAML.\n";

/* Sub-blocks stand after the one that mentions them, each with its title; the top has no title. */
static void write_block(const struct schema_block *block, const char *path);

static void write_words(const struct schema_key *key)
{
    for (const struct schema_word *word = key->words; word->word != NULL; word++) {
        if (word->state == SCHEMA_LATER)
            printf(" `%s` is not supported yet.", word->word);
    }
}

static void write_default(const struct schema_key *key)
{
    if (key->required)
        printf("*required*");
    else if (key->fallback_help != NULL)
        printf("%s", key->fallback_help);
    else if (key->type == SCHEMA_STRUCT)
        printf("those of its keys");
    else if (key->fallback != NULL && key->fallback[0] != '\0')
        printf("`%s`", key->fallback);
    else
        printf("%s",
               key->type == SCHEMA_DURATION || key->type == SCHEMA_INT || key->type == SCHEMA_NUMBER
                   ? "`0`"
                   : "none");
}

static void write_row(const struct schema_key *key)
{
    char wants[512];
    schema_wants(key, wants, sizeof(wants));
    printf("| `%s` | %s | ", key->name, key->type == SCHEMA_OPAQUE ? "anything" : wants);
    write_default(key);
    printf(" | %s", key->help);
    if (key->words != NULL)
        write_words(key);
    if (key->state == SCHEMA_UNUSED)
        printf(" *Accepted, but has no effect: %s.*", key->note);
    printf(" |\n");
}

static void write_rows(const struct schema_block *block)
{
    printf("\n| key | takes | default | meaning |\n|---|---|---|---|\n");
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        if (key->state == SCHEMA_WORKS || key->state == SCHEMA_UNUSED)
            write_row(key);
    }
}

/* The keys that may only have their default, as a list. */
static void write_others(const struct schema_block *block, enum schema_state state,
                         const char *title)
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        if (key->state != state)
            continue;
        if (title != NULL)
            printf("\n%s\n\n", title);
        title = NULL;
        printf("* `%s`: %s\n", key->name, state == SCHEMA_REFUSED ? key->note : key->help);
    }
}

static void write_children(const struct schema_block *block, const char *path)
{
    for (const struct schema_key *key = block->keys; key->name != NULL; key++) {
        char child[128];
        if (key->block == NULL || key->state == SCHEMA_LATER || key->state == SCHEMA_REFUSED)
            continue;
        snprintf(child, sizeof(child), "%s%s%s", path, path[0] == '\0' ? "" : ".", key->name);
        write_block(key->block, child);
    }
}

/* Where a block that several keys share was written first; NULL if it was not yet. */
static const char *first_path(const struct schema_block *block, const char *path)
{
    static struct {
        const struct schema_block *block;
        char path[128];
    } written[64];
    size_t n = 0;
    for (; written[n].block != NULL; n++) {
        if (written[n].block == block)
            return written[n].path;
    }
    check(n + 1 < sizeof(written) / sizeof(written[0]));
    written[n].block = block;
    snprintf(written[n].path, sizeof(written[n].path), "%s", path);
    return NULL;
}

static void write_block(const struct schema_block *block, const char *path)
{
    const char *first = first_path(block, path);
    if (first != NULL) {
        printf("\n## `%s`\n\nThe keys are those of `%s`.\n", path, first);
        return;
    }
    if (path[0] == '\0')
        printf("\n## Top level\n");
    else
        printf("\n## `%s`\n", path);
    printf("\n%s\n", block->help);
    write_rows(block);
    write_others(block, SCHEMA_LATER, "Not supported yet:");
    write_others(block, SCHEMA_REFUSED, "Refused:");
    write_children(block, path);
}

int main(void)
{
    printf("%s", intro);
    write_block(&schema_root, "");
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
