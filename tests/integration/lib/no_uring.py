# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command in which io_uring_setup(2) is refused, as container runtimes do it: limpet then
uses epoll. For Limpet(prefix=WITHOUT_URING)."""
import ctypes
import os
import struct
import sys

WITHOUT_URING = [sys.executable, os.path.abspath(__file__)]

IO_URING_SETUP = 425  # on all machines
EPERM = 1


def forbid():
    """A filter of four BPF instructions: load the number, compare, refuse or allow."""
    program = b"".join(struct.pack("=HBBI", *instruction) for instruction in (
        (0x20, 0, 0, 0), (0x15, 0, 1, IO_URING_SETUP), (0x06, 0, 0, 0x00050000 | EPERM),
        (0x06, 0, 0, 0x7FFF0000)))
    room = ctypes.create_string_buffer(program)
    filter_program = struct.pack("@HP", 4, ctypes.addressof(room))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, filter_program, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")


if __name__ == "__main__":
    forbid()
    os.execvp(sys.argv[1], sys.argv[1:])
