#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes src/base/unicode_tables.h from UnicodeData.txt (Debian: unicode-data) to stdout.

    scripts/write_unicode.py /usr/share/unicode/UnicodeData.txt > src/base/unicode_tables.h
"""
import sys


def read(path):
    """(code point, category, upper, lower), ranges expanded."""
    first = None
    with open(path) as lines:
        for line in lines:
            fields = line.rstrip("\n").split(";")
            code, name, category = int(fields[0], 16), fields[1], fields[2]
            if name.endswith(", First>"):
                first = code
                continue
            upper = int(fields[12] or fields[0], 16)
            lower = int(fields[13] or fields[0], 16)
            for each in range(first if first is not None else code, code + 1):
                yield each, category, upper if first is None else each, lower if first is None else each
            first = None


def ranges(codes):
    result = []
    for code in codes:
        if result and result[-1][1] == code - 1:
            result[-1][1] = code
        else:
            result.append([code, code])
    return result


def mappings(pairs):
    """Runs of code points, 1 or 2 apart, that move by the same distance."""
    result = []
    for code, to in pairs:
        if result:
            first, last, step, delta = result[-1]
            if to - code == delta and code - last in ((1, 2) if first == last else (step,)):
                result[-1] = [first, code, code - last, delta]
                continue
        result.append([code, code, 1, to - code])
    return result


def write(kind, name, rows):
    print(f"\nstatic const struct {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        cell = " {" + ", ".join(f"0x{value:x}" if i < 2 else str(value) for i, value in enumerate(row)) + "},"
        if len(line) + len(cell) > 100:
            print(line)
            line = "   "
        line += cell
    print(line)
    print("};")


data = list(read(sys.argv[1]))
print("""/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Written by scripts/write_unicode.py from the UnicodeData.txt of Unicode 15.0. */
#ifndef BASE_UNICODE_TABLES_H
#define BASE_UNICODE_TABLES_H

#include <stdint.h>

struct range {
    uint32_t first;
    uint32_t last;
};

/* Every step-th code point from first to last moves by delta. */
struct mapping {
    uint32_t first;
    uint32_t last;
    uint32_t step;
    int32_t delta;
};""")
write("range", "letters", ranges(code for code, category, _, _ in data if category[0] == "L"))
write("range", "digits", ranges(code for code, category, _, _ in data if category == "Nd"))
write("mapping", "to_upper", mappings((code, upper) for code, _, upper, _ in data if upper != code))
write("mapping", "to_lower", mappings((code, lower) for code, _, _, lower in data if lower != code))
print("\n#endif")
