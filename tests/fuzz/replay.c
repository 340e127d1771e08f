/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gives a fuzz target a plain main(), so that its seeds run in every `make check` and a crashing
 * input can be looked at with any compiler. Replays the files and directories named on the
 * command line; without any, fuzz_x replays $srcdir/tests/fuzz/corpus/x as `make check` wants it.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Noreturn void die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static int replay_file(const char *path, size_t size)
{
    FILE *in = fopen(path, "rb");
    if (in == NULL)
        die(path);
    /* Exactly as large as the input, so that a sanitizer sees a read beyond it. */
    uint8_t *data = malloc(size == 0 ? 1 : size);
    if (data == NULL || fread(data, 1, size, in) != size)
        die(path);
    fclose(in);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 1;
}

static int replay(const char *path);

static int replay_directory(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL)
        die(path);
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        if (entry->d_name[0] == '.')
            continue;
        char name[4096];
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        count += replay(name);
    }
    closedir(directory);
    return count;
}

/* Returns how many inputs were replayed. */
static int replay(const char *path)
{
    struct stat about;
    if (stat(path, &about) != 0)
        die(path);
    return S_ISDIR(about.st_mode) ? replay_directory(path)
                                  : replay_file(path, (size_t)about.st_size);
}

static int replay_corpus_of(const char *program)
{
    const char *srcdir = getenv("srcdir");
    const char *name = strstr(program, "fuzz_");
    for (const char *next = name; next != NULL; next = strstr(name + 1, "fuzz_"))
        name = next;
    if (name == NULL)
        return 0;
    char path[4096];
    snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/%s", srcdir != NULL ? srcdir : ".",
             name + strlen("fuzz_"));
    return replay(path);
}

int main(int argc, char **argv)
{
    int count = argc < 2 ? replay_corpus_of(argv[0]) : 0;
    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
