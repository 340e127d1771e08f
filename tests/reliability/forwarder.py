# SPDX-License-Identifier: GPL-2.0-or-later
"""A way to a receiver that can be cut, and that can speak TLS with one certificate or another."""
import socket
import ssl
import threading


class Forwarder:
    """From address:port to 127.0.0.1:to_port. `certificate`: the path of NAME.pem, beside NAME.key."""

    def __init__(self, address, port, to_port, certificate=None):
        self.to_port, self.certificate, self.is_open = to_port, certificate, True
        self.accepted = 0
        self.lock, self.sockets = threading.Lock(), set()
        self.listener = socket.create_server((address, port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.is_open = False
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def cut(self):
        """Ends all connections."""
        with self.lock:
            for end in self.sockets:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def present(self, certificate):
        """From now on, with all connections anew."""
        self.certificate = certificate
        self.cut()

    def _accept(self):
        while self.is_open:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        try:
            if self.certificate:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(self.certificate, self.certificate.replace(".pem", ".key"))
                client.settimeout(5)
                client = context.wrap_socket(client, server_side=True)
                client.settimeout(None)
            server = socket.create_connection(("127.0.0.1", self.to_port))
        except (OSError, ssl.SSLError):
            client.close()
            return
        with self.lock:
            self.sockets |= {client, server}
        threading.Thread(target=self._copy, args=(server, client), daemon=True).start()
        self._copy(client, server)

    def _copy(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except (OSError, ssl.SSLError):
            pass
        for end in source, sink:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.lock:
            self.sockets -= {source, sink}
