/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/net/nginx.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "net/socket.h"
#include "tests/unit/net/certificates.h"

#define MAX_SITES 16

struct nginx {
    pid_t pid;
    size_t n;
    struct net_address addresses[MAX_SITES];
    int fds[MAX_SITES];
};

char nginx_big_byte(size_t at)
{
    return (char)('a' + at * 7 % 23 + at / 4096 % 3);
}

static FILE *create(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", certificates_directory(), name);
    FILE *out = fopen(path, "w");
    check(out != NULL);
    return out;
}

static void write_big(void)
{
    FILE *out = create("big");
    for (size_t i = 0; i < NGINX_BIG; i++)
        putc(nginx_big_byte(i), out);
    fclose(out);
}

static void write_site(FILE *out, const struct nginx_site *site, const struct net_address *address)
{
    char text[NET_ADDRESS_TEXT];
    const char *directory = certificates_directory();
    fprintf(out,
            "server {\n"
            "listen %s ssl; ssl_certificate %s/%s.pem; ssl_certificate_key %s/%s.key;\n"
            "ssl_protocols %s; ssl_session_cache none; %s\n"
            "location = / { client_body_buffer_size 64m; echo_read_request_body;\n"
            "  echo \"$ssl_protocol name=$ssl_server_name client=$ssl_client_s_dn "
            "$ssl_client_verify length=$content_length $request_time $ssl_session_reused\"; }\n"
            "location = /big { alias %s/big; }\n"
            "}\n",
            net_address_format(address, text), directory, site->certificate, directory,
            site->certificate, site->protocols, site->more != NULL ? site->more : "", directory);
}

static void write_configuration(const struct nginx *nginx, const struct nginx_site *sites)
{
    FILE *out = create("nginx.conf");
    const char *directory = certificates_directory();
    fprintf(out,
            "include /etc/nginx/modules-enabled/*.conf;\n"
            "daemon off; worker_processes 1; %s pid %s/nginx.pid; error_log %s/error.log info;\n"
            "events { worker_connections 128; }\n"
            "http { access_log off; client_max_body_size 64m; default_type text/plain;\n"
            "client_body_temp_path %s/body; proxy_temp_path %s/proxy; fastcgi_temp_path %s/f;\n"
            "uwsgi_temp_path %s/u; scgi_temp_path %s/s; ssl_verify_depth 3;\n",
            /* Who started it can read the directory; for others than root that goes without. */
            geteuid() == 0 ? "user root;" : "", directory, directory, directory, directory,
            directory, directory, directory);
    for (size_t i = 0; i < nginx->n; i++)
        write_site(out, &sites[i], &nginx->addresses[i]);
    fprintf(out, "}\n");
    fclose(out);
}

/* nginx takes over sockets whose numbers its environment has: no port can be lost to others. */
static void listen_for(struct nginx *nginx, struct strbuf *inherited)
{
    struct net_address any;
    check(net_address_parse(slice_of("127.0.0.1:0"), &any) == 0);
    for (size_t i = 0; i < nginx->n; i++) {
        int fd = net_socket_listen(&any, 64, &nginx->addresses[i]);
        check(fd >= 0 && fcntl(fd, F_SETFD, 0) == 0);
        nginx->fds[i] = fd;
        strbuf_addf(inherited, "%d;", fd);
    }
}

/* It has all its sites at once, and tells who speaks no TLS so. */
static void await_answer(const struct net_address *address)
{
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    char byte;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0 && connect(fd, net_address_sockaddr(address), address->len) == 0);
    check(send(fd, request, strlen(request), MSG_NOSIGNAL) == (ssize_t)strlen(request));
    check(recv(fd, &byte, 1, 0) == 1);
    close(fd);
}

struct nginx *nginx_start(const struct nginx_site *sites, size_t n)
{
    check(n <= MAX_SITES);
    struct nginx *nginx = calloc(1, sizeof(*nginx));
    check(nginx != NULL);
    nginx->n = n;
    struct strbuf inherited = STRBUF_GROWING;
    strbuf_adds(&inherited, "NGINX=");
    listen_for(nginx, &inherited);
    write_configuration(nginx, sites);
    write_big();
    struct strbuf configuration = STRBUF_GROWING, log = STRBUF_GROWING;
    strbuf_addf(&configuration, "%s/nginx.conf", certificates_directory());
    strbuf_addf(&log, "%s/start.log", certificates_directory());
    char *const argv[] = {strdup("nginx"), strdup("-c"), configuration.text,
                          strdup("-e"),    log.text,     NULL};
    char *const environment[] = {inherited.text, NULL};
    check(posix_spawn(&nginx->pid, "/usr/sbin/nginx", NULL, NULL, argv, environment) == 0);
    for (size_t i = 0; i < n; i++)
        close(nginx->fds[i]);
    await_answer(&nginx->addresses[0]);
    free(argv[0]);
    free(argv[1]);
    free(argv[3]);
    strbuf_fini(&configuration);
    strbuf_fini(&log);
    strbuf_fini(&inherited);
    return nginx;
}

struct net_address nginx_address(const struct nginx *nginx, size_t site)
{
    return nginx->addresses[site];
}

void nginx_stop(struct nginx *nginx)
{
    int status;
    check(kill(nginx->pid, SIGTERM) == 0);
    check(waitpid(nginx->pid, &status, 0) == nginx->pid);
    free(nginx);
}
