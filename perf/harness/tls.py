# SPDX-License-Identifier: GPL-2.0-or-later
"""TLS in front of a farm: nginx on every address of it, with a certificate made for the purpose."""
import os
import subprocess

from lib.proc import free_port

SETTINGS = """daemon off;
pid {directory}/nginx.pid;
error_log stderr error;
worker_processes 1;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  proxy_max_temp_file_size 0;
  proxy_buffers 16 64k;
  proxy_buffer_size 64k;
  proxy_busy_buffers_size 128k;
  keepalive_timeout 1h;
  keepalive_requests 1000000000;
  ssl_certificate {directory}/tls.crt;
  ssl_certificate_key {directory}/tls.key;
  server {{
    listen 0.0.0.0:{port} ssl;
    location / {{
      proxy_pass http://$server_addr:{behind};
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


def front(agent, behind, targets_path):
    """Starts it, and makes the file of targets say its port."""
    directory = os.path.join(agent.directory, "tls")
    os.makedirs(directory)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=farm",
                    "-keyout", f"{directory}/tls.key", "-out", f"{directory}/tls.crt"],
                   check=True, capture_output=True)
    port = free_port()
    path = os.path.join(directory, "nginx.conf")
    with open(path, "w") as file:
        file.write(SETTINGS.format(directory=directory, port=port, behind=behind))
    with open(targets_path) as file:
        text = file.read()
    with open(targets_path, "w") as file:
        file.write(text.replace(f":{behind}\"", f":{port}\""))
    return agent.helper("/usr/sbin/nginx", "-e", "stderr", "-p", directory, "-c", path)
