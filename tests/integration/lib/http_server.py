# SPDX-License-Identifier: GPL-2.0-or-later
"""An HTTP server with a thread a connection, by TLS if it has a certificate."""
import ssl
import threading
from http.server import ThreadingHTTPServer


class HttpServer(ThreadingHTTPServer):
    """`tls`: (certificate, key); `client_ca`: who must sign the clients' certificates. It listens from
    the beginning, and answers between begin() and end()."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, handler, tls=None, client_ca=None, host="127.0.0.1", port=0):
        super().__init__((host, port), handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if client_ca:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(client_ca)
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
        self.port = self.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)

    def begin(self):
        self.thread.start()

    def end(self):
        self.shutdown()
        self.server_close()
