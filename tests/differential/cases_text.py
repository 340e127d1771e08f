# SPDX-License-Identifier: GPL-2.0-or-later
"""What the grammar of the text formats says that nobody would guess, beside the vectors (reference 2)."""
from common import A, NOW, bad, differs, good, om, same

BOUNDS = "older: a bound of a bucket and a quantile are written in one way since 3.0"
QUOTED = "older: names in quotes came with 3.0"
BLANKS = "older: names with blanks are valid UTF-8 names since 3.0"


def bounds(body, *expected):
    """A text with bounds that are rewritten; what becomes of them."""
    return differs(BOUNDS, [good(dict.fromkeys(expected, 1), len(expected))], body.encode())


CASES = {
    # ------------------------------------------------------------------------------ numbers (2.1)
    "text: a point at the end": same(b"a 5.\nb -5.\nc +.5\n"),
    "text: no digit at all": same(b"a 1\nb -.\n"),
    "text: an exponent without digits": same(b"a 1\nb 1e\n"),
    "text: an exponent of a sign alone": same(b"a 1\nb 1e+\n"),
    "text: an exponent without a number": same(b"a 1\nb e5\n"),
    "text: a huge exponent of nothing": same(b"a 0e999999999\nb 1e-999999999\n"),
    "text: NaN in any case": same(b"a nan\nb NAN\nc nAn\n"),
    "text: NaN with a sign": same(b"a 1\nb +NaN\n"),
    "text: NaN with a payload": same(b"a 1\nb nan(1)\n"),
    "text: a binary number": same(b"a 1\nb 0b1\n"),
    "text: a number with a comma": same(b"a 1\nb 1,000\n"),
    "text: halfway to the next number": same(
        b"a 9007199254740993\nb 9007199254740993.00000000000000000000000000000000001\nc 9007199254740995\n"
        b"d 1e23\ne 8.5e22\nf 5e-324\ng 2.4703282292062327e-324\nh 2.4703282292062328e-324\n"),
    "text: eight hundred digits": same(
        b"a 0." + b"1234567890" * 80 + b"\nb " + b"1234567890" * 30 + b"\nc " + b"0" * 800 + b"7\n"),
    # --------------------------------------------------------------------- bounds of buckets (2.1)
    "text: bounds": bounds(
        '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_bucket{le="1_0"} 1\nh_bucket{le="0x1p-2"} 1\n'
        'h_bucket{le="abc"} 1\nh_bucket{le="1e400"} 1\nh_bucket{le=" 1"} 1\nh_bucket{le="-0"} 1\nh_bucket{le="nan"} 1\n'
        'h_bucket{le="0.1e1",x="y"} 1\nh_bucket{le="1e6"} 1\n',
        *(f'h_bucket{{le="{bound}"}}' for bound in ("1.0", "+Inf", "10.0", "0.25", "abc", "1e400", " 1", "0.0", "NaN", "1e+06")),
        'h_bucket{le="1.0",x="y"}'),
    "text: bounds of any sample": bounds(
        '# TYPE h histogram\nh_count{le="2"} 1\nother{le="3"} 1\n', 'h_count{le="2.0"}', 'other{le="3.0"}'),
    "text: quantiles": bounds(
        '# TYPE s summary\ns{quantile="0.50"} 1\ns{quantile="1"} 1\ns_sum{le="1"} 1\n',
        's{quantile="0.5"}', 's{quantile="1.0"}', 's_sum{le="1"}'),
    "text: bounds until the next type": bounds(
        '# TYPE h histogram\nh_bucket{le="1"} 1\n# TYPE g gauge\nh_bucket{le="2"} 1\n# HELP x y\ng{quantile="3"} 1\n',
        'h_bucket{le="1.0"}', 'h_bucket{le="2"}', 'g{quantile="3"}'),
    "text: bounds before their type": same(b'h_bucket{le="1"} 1\n# TYPE h histogram\n'),
    "text: bounds without a type": same(b'h_bucket{le="1"} 1\ns{quantile="0.50"} 1\n'),
    "text: bounds of a gauge histogram": same(
        om('# TYPE g gaugehistogram\ng_bucket{le="1"} 1\ng_gcount 1\n# EOF\n')),
    "text: bounds of two spellings": differs(
        BOUNDS, [good({'h_bucket{le="1.0"}': 1}, 1, 2)], b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1.0"} 2\n'),
    "text: bounds of a target that changes its spelling": differs(
        BOUNDS, [good({'h_bucket{le="1.0"}': 1}, 1), good({'h_bucket{le="1.0"}': 2})],
        b'# TYPE h histogram\nh_bucket{le="1"} 1\n', b'# TYPE h histogram\nh_bucket{le="1.0"} 2\n'),
    # ------------------------------------------------------------------------- blanks and ends (2.2)
    "text: a vertical tab": same(b"a 1\nb\x0b1\n"),
    "text: a vertical tab behind": same(b"a 1\nb 1\x0b\n"),
    "text: blanks before a comment": same(b"  # HELP a x\n\t# TYPE a counter\na 1\n"),
    "text: blanks in an empty line": same(b" \t \na 1\n\n \n"),
    "text: a byte order mark": same(b"\xef\xbb\xbfa 1\n"),
    "text: a CR behind a type": same(b"a 1\n# TYPE b counter\r\nb 1\n"),
    "text: a CR behind a comment": same(b"# x\r\n#\r\n# HELP a x\r\na 1\n"),
    "text: a CR behind HELP alone": same(b"# HELP\r\na 1\n"),
    "text: CR LF throughout": same(b"a 1\r\nb 1\r\n"),
    "text: an empty line of CR LF": same(b"a 1\n\r\nb 1\n"),
    "text: no end of the last line": same(b"a 1\nb 2"),
    # ------------------------------------------------------------------------ names and values (2.2)
    "text: no blank before a minus": differs(
        "deviation: Prometheus' sender skips samples that are older than the process", [good({"a": -5}, 2, 2)],
        b"a-5\nb-5 7\n", own={"b": [(7, -5)]}),
    "text: no blank before a value that is NaN": same(b"aNaN 1\n"),
    "text: a point in a name": same(b"a 1\na.b 1\n"),
    "text: a colon and digits in a name": same(b":1 1\na:1 2\n_ 3\n__ 4\n"),
    "text: labels behind the value": same(b'a 1\nb 1{b="c"}\n'),
    "text: a comment behind the value": same(b"a 1\nb 1 # x\n"),
    "text: two values": same(b"a 1\nb 1 2 3\n"),
    "text: a name alone": same(b"a 1\nb\n"),
    "text: a value alone": same(b"a 1\n1\n"),
    "text: timestamps with leading zeros": same(f"a 1 000{NOW}\n".encode(), b""),
    # -------------------------------------------------------------------------------- labels (2.2)
    "text: no comma between labels": same(b'a{b="c" d="e"} 1\na{b="c"f="g"\th="i"} 2\n'),
    "text: a comma at the end of labels": same(b'a{b="c",} 1\nb{b="c", } 2\n'),
    "text: two commas": same(b'a 1\nb{b="c",,d="e"} 1\n'),
    "text: nothing but a comma": same(b"a 1\nb{,} 1\n"),
    "text: blanks everywhere": same(b'a { b = "c" , d\t=\t"e" , } 1\n'),
    "text: single quotes": same(b"a 1\nb{b='c'} 1\n"),
    "text: a line end in a value": same(b'a{b="c\nd 7\n"} 1\n'),
    "text: a backslash before a line end": same(b'a 1\nb{b="c\\\nd"} 1\n'),
    "text: escapes": same(b'a{b="\\n\\"\\\\\\t\\x\\\xc3\xa4\\0"} 1\n'),
    "text: a value that is no UTF-8": same(b'a 1\nb{b="\xff"} 1\n'),
    "text: a value that is a surrogate": same(b'a 1\nb{b="\xed\xa0\x80"} 1\n'),
    "text: a value that is overlong": same(b'a 1\nb{b="\xc0\x80"} 1\n'),
    "text: a value beyond Unicode": same(b'a 1\nb{b="\xf4\x90\x80\x80"} 1\n'),
    "text: a value at the end of Unicode": same(b'a{b="\xf4\x8f\xbf\xbf"} 1\n'),
    "text: a colon in a label": same(b'a 1\nb{b:c="d"} 1\n'),
    "text: __name__ in braces alone": same(b'a 1\n{__name__="x"} 1\n'),
    "text: a quoted name in front": same(b'a 1\n"b" 1\n'),
    "text: a quoted name twice": same(b'a 1\n{"b","c"} 1\n'),
    "text: a quoted name that is no UTF-8": differs(QUOTED, [bad(counts=(2, 1, 1))], b'a 1\n{"b\xff"} 1\n'),
    "text: a quoted name and braces": same(b'a 1\n{"b"}{c="d"} 1\n'),
    "text: an empty quoted name": differs(QUOTED, [bad(counts=(2, 1, 1))], b'a 1\n{""} 1\n'),
    "text: an empty quoted label": differs(QUOTED, [bad(counts=(2, 1, 1))], b'a 1\nb{""="x"} 1\n'),
    "text: a quoted name behind labels": differs(
        QUOTED, [good({'b{c="d",e="f"}': 1}, 1)], b'{c="d","b",e="f"} 1\n'),
    "text: blanks before a quoted name": differs(QUOTED, [good({"b c": 1}, 1)], b'  {"b c"} 1\n'),
    "text: blanks before a name": differs(BLANKS, [good({"  a": 1, "\tb": 2, "c": 3}, 3)], b"  a 1\n\tb 2\nc 3\n"),
    # ----------------------------------------------------------------------------------- NUL (2.2)
    "text: a NUL in a comment": same(b"a 1\n# x\0y\nb 1\n"),
    "text: a NUL in help": same(b"# HELP a x\0y\na 1\n"),
    "text: a NUL at the start of a line": same(b"a 1\nb 1\n\0c 1\nd 1\n", b"a 2\n\0", b"b 3\n\0!\n"),
    "text: a NUL in a comment without a blank": same(b"a 1\n#x\0y\nb 1\n"),
    "text: a NUL in a name": same(b"a 1\nb\0c 1\n"),
    "text: a NUL in a number": same(b"a 1\nb 1\0\n"),
    "text: a NUL in a value of a label": same(b'a{b="c\0d"} 1\nb 1\n'),
    # ----------------------------------------------------------------------------- comments (2.2)
    "text: HELP without a blank": same(b"#HELP\na 1\n#TYPE a foo\n"),
    "text: words that begin like HELP": same(b"# HELPa x\n# TYPEa foo\n# help a\n# Type a foo\na 1\n"),
    "text: UNIT and EOF": same(b"# UNIT a seconds\n# EOF\na 1\n# EOF x\n"),
    "text: HELP alone": same(b"# HELP\n# TYPE\na 1\n"),
    "text: HELP and a blank": same(b"a 1\n# HELP \n"),
    "text: TYPE of a hash": same(b"a 1\n# TYPE #\n"),
    "text: TYPE of nothing": same(b"a 1\n# TYPE b\n"),
    "text: HELP of a name alone": same(b"# HELP a\n# HELP b \na 1\n"),
    "text: help that is no UTF-8": same(b"a 1\n# HELP b \xff\n"),
    "text: a blank behind a type": same(b"a 1\n# TYPE b counter \n"),
    "text: two blanks before a type": same(b"a 1\n# TYPE b  counter\n"),
    "text: a type in capitals": same(b"a 1\n# TYPE b Counter\n"),
    "text: types of OpenMetrics": same(b"a 1\n# TYPE b unknown\n"),
    "text: untyped": same(b"# TYPE a untyped\na 1\n"),
    "text: types again and behind": same(
        b"# TYPE a counter\na 1\n# TYPE b gauge\nb 1\n# TYPE a gauge\na{x=\"1\"} 2\n# HELP a x\n# HELP a y\n"),
    "text: an exemplar": same(b'a 1\nb 1 # {x="y"} 1\n'),
    # --------------------------------------------------------------------------- OpenMetrics (2.3)
    "OpenMetrics: two blanks": same(om("a 1\nb  1\n# EOF\n")),
    "OpenMetrics: a tab": same(om("a 1\nb\t1\n# EOF\n")),
    "OpenMetrics: a blank in front": same(om("a 1\n b 1\n# EOF\n")),
    "OpenMetrics: an empty line": same(om("a 1\n\nb 1\n# EOF\n")),
    "OpenMetrics: a comment": same(om("a 1\n# x\nb 1\n# EOF\n")),
    "OpenMetrics: blanks in braces": same(om('a 1\nb{ x="y"} 1\n# EOF\n')),
    "OpenMetrics: blanks between labels": same(om('a 1\nb{x="y", z="1"} 1\n# EOF\n')),
    "OpenMetrics: no comma between labels": same(om('a 1\nb{x="y"z="1"} 1\n# EOF\n')),
    "OpenMetrics: a line end in a label": same(om('a 1\nb{x="y\nz"} 1\n# EOF\n')),
    "OpenMetrics: escapes": same(om('a{x="\\n\\"\\\\\\t"} 1\n# EOF\n')),
    "OpenMetrics: nothing but EOF": same(om(b"a 1\n# EOF\n"), om(b"# EOF"), om(b"# EOF\n")),
    "OpenMetrics: an empty body": differs(
        "older: 2.42 misses the EOF in it", [good({"a": 1}, 1), good({"a": "stale"}, 0, 0)], om("a 1\n# EOF\n"), om("")),
    "OpenMetrics: no EOF": same(om("a 1\n")),
    "OpenMetrics: a sample behind EOF": same(om("a 1\n# EOF\nb 1\n")),
    "OpenMetrics: a line end behind EOF": same(om("a 1\n# EOF\n\n")),
    "OpenMetrics: a NUL behind EOF": same(om(b"a 1\n# EOF\n\0anything")),
    "OpenMetrics: EOF and more": same(om("a 1\n# EOFx\n")),
    "OpenMetrics: CR LF": same(om("a 1\r\n# EOF\r\n")),
    "OpenMetrics: HELP without a blank behind": same(om("a 1\n# HELP a\n# EOF\n")),
    "OpenMetrics: empty help": same(om("# HELP a \na 1\n# EOF\n")),
    "OpenMetrics: all types": same(om("".join(
        f"# TYPE t{number} {kind}\n" for number, kind in enumerate(
            "counter gauge histogram gaugehistogram summary info stateset unknown".split())) + "a 1\n# EOF\n")),
    "OpenMetrics: untyped": same(om("a 1\n# TYPE b untyped\n# EOF\n")),
    "OpenMetrics: a unit": same(om("# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n# UNIT b \n# EOF\n")),
    "OpenMetrics: a unit that the name lacks": same(om("a 1\n# UNIT b seconds\n# EOF\n")),
    "OpenMetrics: a unit that is the name": same(om("a 1\n# UNIT seconds seconds\n# EOF\n")),
    "OpenMetrics: a unit without its underscore": same(om("a 1\n# UNIT aseconds seconds\n# EOF\n")),
    "OpenMetrics: a timestamp": same(om(f"a 1 {NOW / 1000}\nb 2 {NOW / 1e9:.12f}e6\nc 3 +{NOW // 1000}\n# EOF\n"), om("# EOF\n")),
    "OpenMetrics: a fraction of a millisecond": same(om(f"a 1 {NOW // 1000}.9999\n# EOF\n"), om("# EOF\n")),
    "OpenMetrics: a timestamp of NaN": same(om("a 1\nb 1 NaN\n# EOF\n")),
    "OpenMetrics: a timestamp of +Inf": same(om("a 1\nb 1 +Inf\n# EOF\n")),
    "OpenMetrics: an exemplar of anything": differs(
        "older: 2.42 gives exemplars to counters and buckets only", [good({"g": 1, "s_sum": 2}, 2)],
        om('# TYPE g gauge\ng 1 # {x="y"} 1\n# TYPE s summary\ns_sum 2 # {} 1 2\n# EOF\n')),
    "OpenMetrics: two exemplars": same(om('# TYPE c counter\nc_total 1 # {x="y"} 1 2 # {x="z"} 1 2\n# EOF\n')),
    "OpenMetrics: an exemplar without a value": same(om('# TYPE c counter\nc_total 1 # {x="y"}\n# EOF\n')),
    "OpenMetrics: sense is not looked for": same(om(
        '# TYPE c counter\nc 1\nc_total -1\n# TYPE d counter\nd_total NaN\n# TYPE c counter\nc_total{x="1"} 3\n'
        '# TYPE s stateset\ns{s="on"} 7\n# TYPE i info\ni_info{v="1"} 5\n# TYPE e_total counter\ne_total 1\n'
        '# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_count 5\nh_sum -3\n# EOF\n')),
    "OpenMetrics: histograms of 2.0": same(om("a 1\n# TYPE h histogram\nh {count:1,sum:2,bucket:[+Inf:1]}\n# EOF\n")),
    "OpenMetrics: a start timestamp of 2.0": same(om("a 1\nb 1 st@1520430000\n# EOF\n")),
    "OpenMetrics: created lines": same(
        om('# TYPE c counter\nc_total 1\nc_created 1520430000.123\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_count 1\n'
           "h_sum 1\nh_created 1520430000\n# TYPE g gauge\ng_created 5\n# EOF\n"), om("# TYPE c counter\nc_total 2\n# EOF\n")),
    # --------------------------------------------------------------------------- where it ends (2.4)
    "text: an error in the last byte": same(A, b"a 1\nc !", A),
}
