/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net/tls/certificate.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <time.h>

#include "base/err.h"
#include "base/strbuf.h"

/* Names an error text lists at most; Go does the same. */
#define MAX_LISTED 100

/* Tags of DER. */
enum {
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_OCTETS = 0x04,
    TAG_OID = 0x06,
    TAG_UTC_TIME = 0x17,
    TAG_GENERAL_TIME = 0x18,
    TAG_SEQUENCE = 0x30,
    TAG_SET = 0x31,
    TAG_VERSION = 0xa0,    /* [0], constructed */
    TAG_EXTENSIONS = 0xa3, /* [3], constructed */
    TAG_NAME_DNS = 0x82,   /* GeneralName [2] */
    TAG_NAME_URI = 0x86,   /* GeneralName [6] */
    TAG_NAME_IP = 0x87     /* GeneralName [7] */
};

/* ---- DER: nested runs of tag, length and content ---- */

struct element {
    uint8_t tag;
    struct slice content;
};

static uint8_t byte_at(struct slice text, size_t i)
{
    return (uint8_t)text.ptr[i];
}

static struct slice from(struct slice text, size_t start)
{
    return slice_make(text.ptr + start, text.len - start);
}

/* The length field at `at`, which moves behind it. */
static bool read_length(struct slice der, size_t *at, size_t *ret_len)
{
    uint8_t first = byte_at(der, (*at)++);
    *ret_len = first;
    if (first < 0x80)
        return true;
    unsigned n = first & 0x7fu;
    if (n == 0 || n > 4 || n > der.len - *at)
        return false;
    *ret_len = 0;
    while (n-- > 0)
        *ret_len = *ret_len << 8 | byte_at(der, (*at)++);
    return true;
}

/* Takes the first element off `der`. */
static bool next(struct slice *der, struct element *ret_element)
{
    if (der->len < 2)
        return false;
    size_t at = 1, len;
    uint8_t tag = byte_at(*der, 0);
    if ((tag & 0x1f) == 0x1f || !read_length(*der, &at, &len) || len > der->len - at)
        return false;
    *ret_element = (struct element){tag, slice_make(der->ptr + at, len)};
    *der = from(*der, at + len);
    return true;
}

static bool next_of(struct slice *der, uint8_t tag, struct slice *ret_content)
{
    struct element element;
    if (!next(der, &element) || element.tag != tag)
        return false;
    *ret_content = element.content;
    return true;
}

static bool skip_if(struct slice *der, uint8_t tag)
{
    struct element element;
    if (der->len == 0 || byte_at(*der, 0) != tag)
        return true;
    return next(der, &element);
}

/* ---- The parts of a certificate ---- */

static bool read_digits(struct slice text, size_t at, size_t n, int *ret_value)
{
    *ret_value = 0;
    for (size_t i = at; i < at + n; i++) {
        if (!isdigit(byte_at(text, i)))
            return false;
        *ret_value = *ret_value * 10 + (text.ptr[i] - '0');
    }
    return true;
}

/* "YYMMDDHHMMSSZ" or "YYYYMMDDHHMMSSZ" (RFC 5280, 4.1.2.5). */
static bool read_time(struct slice *der, int64_t *ret_seconds)
{
    struct element element;
    if (!next(der, &element))
        return false;
    bool is_short = element.tag == TAG_UTC_TIME;
    struct slice text = element.content;
    size_t year_digits = is_short ? 2 : 4;
    if ((!is_short && element.tag != TAG_GENERAL_TIME) || text.len != year_digits + 11 ||
        text.ptr[text.len - 1] != 'Z')
        return false;
    struct tm tm = {0};
    if (!read_digits(text, 0, year_digits, &tm.tm_year))
        return false;
    int *const fields[] = {&tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec};
    for (size_t i = 0; i < 5; i++) {
        if (!read_digits(text, year_digits + 2 * i, 2, fields[i]))
            return false;
    }
    if (is_short)
        tm.tm_year += tm.tm_year < 50 ? 2000 : 1900;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *ret_seconds = timegm(&tm);
    return true;
}

static bool read_validity(struct slice *der, struct certificate *certificate)
{
    struct slice validity;
    return next_of(der, TAG_SEQUENCE, &validity) &&
           read_time(&validity, &certificate->not_before) &&
           read_time(&validity, &certificate->not_after);
}

/* The last commonName of a Name counts; there is normally one. */
static bool read_subject(struct slice *der, struct certificate *certificate)
{
    struct slice name, set, pair, oid;
    struct element value;
    if (!next_of(der, TAG_SEQUENCE, &name))
        return false;
    while (name.len > 0) {
        if (!next_of(&name, TAG_SET, &set))
            return false;
        while (set.len > 0) {
            if (!next_of(&set, TAG_SEQUENCE, &pair) || !next_of(&pair, TAG_OID, &oid) ||
                !next(&pair, &value))
                return false;
            if (slice_equal(oid, SLICE_LITERAL("\x55\x04\x03")))
                certificate->common_name = value.content;
        }
    }
    return true;
}

static bool read_extensions(struct slice der, struct certificate *certificate)
{
    struct slice list, extension, oid, octets;
    if (!next_of(&der, TAG_SEQUENCE, &list))
        return false;
    while (list.len > 0) {
        if (!next_of(&list, TAG_SEQUENCE, &extension) || !next_of(&extension, TAG_OID, &oid) ||
            !skip_if(&extension, TAG_BOOLEAN) || !next_of(&extension, TAG_OCTETS, &octets))
            return false;
        if (!slice_equal(oid, SLICE_LITERAL("\x55\x1d\x11")))
            continue;
        if (!next_of(&octets, TAG_SEQUENCE, &certificate->names))
            return false;
        certificate->has_names = true;
    }
    return true;
}

static bool read_rest(struct slice tbs, struct certificate *certificate)
{
    struct element element;
    while (tbs.len > 0) {
        if (!next(&tbs, &element))
            return false;
        if (element.tag == TAG_EXTENSIONS && !read_extensions(element.content, certificate))
            return false;
    }
    return true;
}

int certificate_read(struct slice der, struct certificate *ret_certificate)
{
    struct certificate certificate = {.common_name = SLICE_LITERAL("")};
    struct slice outer, tbs, skipped;
    bool ok = next_of(&der, TAG_SEQUENCE, &outer) && next_of(&outer, TAG_SEQUENCE, &tbs) &&
              skip_if(&tbs, TAG_VERSION) && next_of(&tbs, TAG_INTEGER, &skipped) &&
              next_of(&tbs, TAG_SEQUENCE, &skipped) /* signature algorithm */ &&
              next_of(&tbs, TAG_SEQUENCE, &skipped) /* issuer */ &&
              read_validity(&tbs, &certificate) && read_subject(&tbs, &certificate) &&
              next_of(&tbs, TAG_SEQUENCE, &skipped) /* public key */ &&
              read_rest(tbs, &certificate);
    if (!ok)
        return ERR_SYNTAX;
    *ret_certificate = certificate;
    return 0;
}

/* ---- Names ---- */

static bool equal_in_any_case(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (tolower(byte_at(a, i)) != tolower(byte_at(b, i)))
            return false;
    }
    return true;
}

static struct slice without_final_dot(struct slice name)
{
    if (name.len > 0 && name.ptr[name.len - 1] == '.')
        name.len--;
    return name;
}

/* RFC 6125, 6.4.3 as Go reads it: "*" stands for the whole leftmost label, and never alone. */
static bool name_matches(struct slice pattern, struct slice host)
{
    host = without_final_dot(host);
    if (host.len == 0)
        return false;
    if (pattern.len < 3 || pattern.ptr[0] != '*' || pattern.ptr[1] != '.')
        return equal_in_any_case(pattern, host);
    const char *dot = memchr(host.ptr, '.', host.len);
    if (dot == NULL || dot == host.ptr)
        return false;
    return equal_in_any_case(from(pattern, 1), from(host, (size_t)(dot - host.ptr)));
}

/* An address in the form of GeneralName: 4 or 16 bytes; 0 if host is a name. */
static size_t parse_ip(struct slice host, uint8_t ip[static 16])
{
    char text[INET6_ADDRSTRLEN];
    if (host.len >= sizeof(text))
        return 0;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, ip) == 1)
        return 4;
    return inet_pton(AF_INET6, text, ip) == 1 ? 16 : 0;
}

static bool any_name_fits(const struct certificate *certificate, struct slice host)
{
    uint8_t ip[16];
    size_t ip_len = parse_ip(host, ip);
    struct slice names = certificate->names;
    struct element name;
    while (next(&names, &name)) {
        if (ip_len > 0 && name.tag == TAG_NAME_IP &&
            slice_equal(name.content, slice_make(ip, ip_len)))
            return true;
        if (ip_len == 0 && name.tag == TAG_NAME_DNS && name_matches(name.content, host))
            return true;
    }
    return false;
}

/* What the peer wrote, with what cannot be printed replaced. */
static void add_printable(struct strbuf *text, struct slice bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        strbuf_addc(text, isgraph(byte_at(bytes, i)) ? bytes.ptr[i] : '?');
}

static void add_name(struct strbuf *text, const struct element *name)
{
    char ip[INET6_ADDRSTRLEN];
    if (name->tag == TAG_NAME_DNS || name->tag == TAG_NAME_URI)
        add_printable(text, name->content);
    else if (name->content.len == 4 || name->content.len == 16)
        strbuf_adds(text, inet_ntop(name->content.len == 4 ? AF_INET : AF_INET6, name->content.ptr,
                                    ip, sizeof(ip)));
}

static unsigned list_names(struct strbuf *text, struct slice names, uint8_t tag)
{
    unsigned listed = 0;
    struct element name;
    while (next(&names, &name) && listed < MAX_LISTED) {
        if (name.tag != tag)
            continue;
        if (listed++ > 0)
            strbuf_adds(text, ", ");
        add_name(text, &name);
    }
    return listed;
}

static void say_names(const struct certificate *certificate, struct slice host, struct strbuf *text)
{
    uint8_t ip[16];
    bool is_ip = parse_ip(host, ip) > 0;
    struct strbuf valid = STRBUF_GROWING;
    unsigned listed = list_names(&valid, certificate->names, is_ip ? TAG_NAME_IP : TAG_NAME_DNS);
    if (!certificate->has_names && name_matches(certificate->common_name, host)) {
        strbuf_adds(text, "x509: certificate relies on legacy Common Name field, "
                          "use SANs instead");
    } else if (listed > 0) {
        strbuf_addf(text, "x509: certificate is valid for %s, not ", valid.text);
        add_printable(text, host);
    } else if (is_ip) {
        strbuf_addf(text,
                    "x509: cannot validate certificate for %.*s because it doesn't contain any "
                    "IP SANs",
                    SLICE_ARG(host));
    } else {
        strbuf_adds(text, "x509: certificate is not valid for any names, but wanted to match ");
        add_printable(text, host);
    }
    strbuf_fini(&valid);
}

/* ---- Identities of SPIFFE ---- */

#define SPIFFE "spiffe://"

bool certificate_is_spiffe(struct slice host)
{
    return host.len >= sizeof(SPIFFE) - 1 && memcmp(host.ptr, SPIFFE, sizeof(SPIFFE) - 1) == 0;
}

/* Takes what stands before the next "/" off the text. */
static struct slice take_part(struct slice *text)
{
    const char *slash = text->len > 0 ? memchr(text->ptr, '/', text->len) : NULL;
    size_t len = slash != NULL ? (size_t)(slash - text->ptr) : text->len;
    struct slice part = slice_make(text->ptr, len);
    *text = from(*text, slash != NULL ? len + 1 : len);
    return part;
}

static bool identity_matches(struct slice pattern, struct slice identity)
{
    if (!certificate_is_spiffe(identity) || pattern.ptr[pattern.len - 1] == '/' ||
        identity.ptr[identity.len - 1] == '/')
        return false;
    pattern = from(pattern, sizeof(SPIFFE) - 1);
    identity = from(identity, sizeof(SPIFFE) - 1);
    bool matches = slice_equal(take_part(&pattern), take_part(&identity)); /* trust domains */
    while (matches && pattern.len > 0 && identity.len > 0) {
        struct slice wanted = take_part(&pattern), part = take_part(&identity);
        matches = slice_equal(wanted, part) || (slice_is(wanted, "*") && part.len > 0);
    }
    return matches && pattern.len == 0 && identity.len == 0;
}

static bool identity_fits(const struct certificate *certificate, struct slice pattern)
{
    struct slice names = certificate->names, identity = SLICE_LITERAL("");
    struct element name;
    unsigned identities = 0;
    while (next(&names, &name)) {
        if (name.tag != TAG_NAME_URI)
            continue;
        identity = name.content;
        identities++;
    }
    return identities == 1 && identity_matches(pattern, identity);
}

static void say_identities(const struct certificate *certificate, struct slice pattern,
                           struct strbuf *text)
{
    struct strbuf valid = STRBUF_GROWING;
    unsigned listed = list_names(&valid, certificate->names, TAG_NAME_URI);
    strbuf_addf(text, "x509: certificate %s%s, not the one identity ",
                listed > 0 ? "is of " : "has no URI SAN", listed > 0 ? valid.text : "");
    add_printable(text, pattern);
    strbuf_fini(&valid);
}

static void look_at_names(const struct certificate *certificate, struct slice host,
                          struct strbuf *why)
{
    if (certificate_is_spiffe(host)) {
        if (!identity_fits(certificate, host))
            say_identities(certificate, host, why);
    } else if (!any_name_fits(certificate, host)) {
        say_names(certificate, host, why);
    }
}

/* ---- Time ---- */

static void add_time(struct strbuf *text, int64_t seconds)
{
    time_t time = (time_t)seconds;
    struct tm tm;
    char formatted[32] = "?";
    if (gmtime_r(&time, &tm) != NULL)
        strftime(formatted, sizeof(formatted), "%Y-%m-%dT%H:%M:%SZ", &tm);
    strbuf_adds(text, formatted);
}

static void say_time(int64_t now, const char *relation, int64_t limit, struct strbuf *text)
{
    strbuf_adds(text, "x509: certificate has expired or is not yet valid: current time ");
    add_time(text, now);
    strbuf_adds(text, relation);
    add_time(text, limit);
}

bool certificate_fits(const struct certificate *certificate, struct slice host, int64_t now,
                      char *text, size_t size)
{
    struct strbuf why = STRBUF_GROWING;
    if (now < certificate->not_before)
        say_time(now, " is before ", certificate->not_before, &why);
    else if (now > certificate->not_after)
        say_time(now, " is after ", certificate->not_after, &why);
    else
        look_at_names(certificate, host, &why);
    bool fits = why.len == 0;
    if (!fits)
        snprintf(text, size, "%s", why.text);
    strbuf_fini(&why);
    return fits;
}
