# SPDX-License-Identifier: GPL-2.0-or-later
"""A real nginx that speaks TLS, with certificates of its own."""
import os
import pathlib

from .proc import Process, free_port, port_is_open

SITES = {"good": ("server", ""), "expired": ("expired", ""), "elsewhere": ("elsewhere", ""),
         "closing": ("server", "keepalive_timeout 0;"),
         "closing 1.2": ("server", "keepalive_timeout 0; ssl_protocols TLSv1.2;"),
         "mutual": ("server", "ssl_client_certificate {dir}/ca.pem; ssl_verify_client on;")}


class Nginx(Process):
    """Pages and a way to a receiver over TLS: self.ports by the names of SITES. Each site has /metrics,
    /session, which says whether the TLS session was gone on with, and /api/."""

    def __init__(self, directory, certificates, receiver_port=9, host="127.0.0.1"):
        self.host = f"[{host}]" if ":" in host else host
        self.ports = {name: free_port() for name in SITES}
        servers = ""
        for name, (certificate, more) in SITES.items():
            more = more.format(dir=certificates)
            servers += (
                f"server {{ listen {self.host}:{self.ports[name]} ssl; {more}\n"
                f" ssl_certificate {certificates}/{certificate}.pem;\n"
                f" ssl_certificate_key {certificates}/{certificate}.key;\n"
                f" location = /metrics {{ default_type text/plain; return 200 'page_total 1\\n'; }}\n"
                f" location = /session {{ default_type text/plain;\n"
                f"   return 200 'session{{how=\"$ssl_session_reused\"}} 1\\n'; }}\n"
                f" location /api/ {{ proxy_pass http://127.0.0.1:{receiver_port}; }} }}\n")
        user = "user root;" if os.geteuid() == 0 else ""
        text = (f"daemon off; worker_processes 1; {user} pid {directory}/nginx.pid;\n"
                f"error_log {directory}/nginx.log; events {{ worker_connections 64; }}\n"
                f"http {{ access_log off; client_body_temp_path {directory}/b;\n"
                f"proxy_temp_path {directory}/p; fastcgi_temp_path {directory}/f;\n"
                f"uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;\n{servers}}}\n")
        path = os.path.join(directory, "nginx.conf")
        pathlib.Path(path).write_text(text)
        Process.__init__(self, ["/usr/sbin/nginx", "-c", path, "-e", f"{directory}/nginx.log"], directory)
        self.wait_ready(lambda: all(port_is_open(port, host) for port in self.ports.values()), 10)

    def address(self, site="good", host=None):
        return f"{host or self.host}:{self.ports[site]}"
