/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "config/freeze.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/strbuf.h"
#include "config/codec.h"
#include "config/schema.h"

static const char text[] =
    "global: {scrape_interval: 15s, external_labels: {a: 1, b: 2},\n"
    "  scrape_protocols: [PrometheusText0.0.4, PrometheusProto], query_log_file: q}\n"
    "scrape_configs:\n"
    "- {job_name: one, honor_labels: true, metrics_path: /x, params: {p: [1, 2], q: []},\n"
    "   fallback_scrape_protocol: PrometheusText1.0.0,\n"
    "   static_configs: [{targets: [a, b], labels: {l: v}}, {targets: []}],\n"
    "   file_sd_configs: [{files: [x.json, y.yml], refresh_interval: 1s}]}\n"
    "- {job_name: two, relabel_configs: [{source_labels: [a, b], separator: ',', regex: (.+),\n"
    "   target_label: c, replacement: x$1}, {action: hashmod, modulus: 7, target_label: d}]}\n"
    "remote_write:\n"
    "- {url: 'http://a', headers: {X-A: b}, queue_config: {capacity: 7}}\n"
    "- {url: 'http://b', name: b, metadata_config: {send: false}}\n"
    "limpet: {scrapers: 3, cpus: 1-3, ring_size: 2MiB, pinning: off}\n";

static struct config *config;
static int fd;

static int set_up(void **state)
{
    struct errctx why;
    (void)state;
    if (config_parse("dir/file.yml", text, strlen(text), &config, &why) < 0)
        fail_msg("%s", why.text);
    config->generation = 17;
    assert_int_equal(config_freeze(config, &fd, &why), 0);
    return 0;
}

static int clean_up(void **state)
{
    (void)state;
    config_free(config);
    close(fd);
    return 0;
}

/* Everything in the table as bytes: equal bytes, equal configurations. */
static struct strbuf bytes_of(const struct config *what)
{
    struct strbuf bytes = STRBUF_GROWING;
    codec_encode(&schema_root, what, &bytes);
    return bytes;
}

static void thawing_gives_back_what_was_frozen(void **state)
{
    struct config *thawed;
    struct errctx why;
    (void)state;
    assert_int_equal(config_thaw(fd, &thawed, &why), 0);
    assert_string_equal(thawed->path, "dir/file.yml");
    assert_int_equal(thawed->generation, 17);
    assert_string_equal(thawed->scrape_configs.items[0].params.items[0].values.items[1], "2");
    assert_string_equal(thawed->scrape_configs.items[1].relabel_configs.items[0].regex, "(.+)");
    assert_int_equal(thawed->scrape_configs.items[1].relabel_configs.items[1].modulus, 7);
    assert_int_equal(thawed->limpet.cpus.items[2], 3);
    assert_string_equal(thawed->remote_write.items[0].name, config->remote_write.items[0].name);
    struct strbuf before = bytes_of(config);
    struct strbuf after = bytes_of(thawed);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.text, after.text, before.len);
    strbuf_fini(&before);
    strbuf_fini(&after);
    config_free(thawed);
}

static void the_snapshot_cannot_be_changed(void **state)
{
    (void)state;
    assert_int_equal(pwrite(fd, "x", 1, 0), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
}

static size_t read_snapshot(char *bytes, size_t size)
{
    ssize_t len = pread(fd, bytes, size, 0);
    assert_true(len > 0 && (size_t)len < size);
    return (size_t)len;
}

static int thaw_bytes(const char *bytes, size_t len)
{
    struct config *thawed = NULL;
    struct errctx why;
    int copy = memfd_create("test", MFD_CLOEXEC);
    assert_true(copy >= 0);
    assert_int_equal(write(copy, bytes, len), (ssize_t)len);
    int r = config_thaw(copy, &thawed, &why);
    close(copy);
    config_free(thawed);
    return r;
}

static void a_damaged_snapshot_is_refused(void **state)
{
    char bytes[8192];
    (void)state;
    size_t len = read_snapshot(bytes, sizeof(bytes));
    assert_int_equal(thaw_bytes(bytes, len), 0);
    for (size_t i = 0; i < len; i++) {
        bytes[i] ^= 0x40;
        bool is_generation = i >= 24 && i < 32;
        assert_true((thaw_bytes(bytes, len) == 0) == is_generation);
        bytes[i] ^= 0x40;
    }
    for (size_t i = 0; i < len; i++)
        assert_true(thaw_bytes(bytes, i) < 0);
}

static void a_snapshot_of_another_build_is_refused(void **state)
{
    char bytes[8192];
    (void)state;
    size_t len = read_snapshot(bytes, sizeof(bytes));
    bytes[16] ^= 1; /* the fingerprint of the table */
    assert_int_equal(thaw_bytes(bytes, len), ERR_VERSION);
}

/* Without the checksum's help: the decoder must stand any bytes. */
static void the_decoder_stands_any_bytes(void **state)
{
    struct strbuf bytes = bytes_of(config);
    (void)state;
    for (size_t i = 0; i < bytes.len; i++) {
        struct arena arena = {0};
        struct config out = {.path = ""};
        struct slice in = slice_make(bytes.text, bytes.len);
        char old = bytes.text[i];
        bytes.text[i] = (char)(old + 1 + (int)(i % 250));
        int r = codec_decode(&schema_root, &in, &arena, &out);
        assert_true(r == 0 || r == ERR_CORRUPT);
        bytes.text[i] = old;
        in = slice_make(bytes.text, i);
        assert_int_equal(codec_decode(&schema_root, &in, &arena, &out), ERR_CORRUPT);
        arena_fini(&arena);
    }
    strbuf_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(thawing_gives_back_what_was_frozen, set_up, clean_up),
        cmocka_unit_test_setup_teardown(the_snapshot_cannot_be_changed, set_up, clean_up),
        cmocka_unit_test_setup_teardown(a_damaged_snapshot_is_refused, set_up, clean_up),
        cmocka_unit_test_setup_teardown(a_snapshot_of_another_build_is_refused, set_up, clean_up),
        cmocka_unit_test_setup_teardown(the_decoder_stands_any_bytes, set_up, clean_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
