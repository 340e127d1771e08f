# SPDX-License-Identifier: GPL-2.0-or-later
"""Relabelling of targets and of samples (reference 6), and what it does to counts and markers."""
from common import A, NOW, Reply, bad, differs, good, same

BODY = (b'go_threads 7\nhttp_total{code="200",pod="web-1-a"} 1\nhttp_total{code="500",pod="web-1-b"} 2\n'
        b'mem{pod="",name="\xc3\x84pfel"} 3\nodd{instance="mine",zone="exposed"} 4\n')
LABELS = {"zone": "z1", "kind": "web", "same": "web", "__tmp_a": "t"}


def targets(*rules, **settings):
    return same(BODY, BODY, labels=LABELS, relabel_configs=list(rules), **settings)


def samples(*rules, **settings):
    return same(BODY, BODY, labels=LABELS, metric_relabel_configs=list(rules), **settings)


def replace(source, regex, target, replacement="$1", **more):
    source = [source] if isinstance(source, str) else source
    return {"source_labels": source, "regex": regex, "target_label": target, "replacement": replacement, **more}


NAME = "__name__"
CASES = {
    # ------------------------------------------------------------------------------ targets
    "targets: keep": targets({"action": "keep", "source_labels": ["kind", "zone"], "regex": "web;z.+"}),
    "targets: replace with groups": targets(replace(["kind", "zone"], "(w.*);(z)(.)", "where", "${3}_$2-$1")),
    "targets: named group": targets(replace("kind", "(?P<first>.).*", "letter", "${first}")),
    "targets: group that is not there": targets(replace("kind", "(x)?web", "none", "<$1$2$9>")),
    "targets: dollars": targets(replace("kind", "(.*)", "money", "$$1 $ $x ${1} ${} $1_x")),
    "targets: does not match": targets(replace("kind", "eb", "kind", "changed")),
    "targets: matches the whole": targets(replace("kind", "we|web", "kind", "changed")),
    "targets: empty replacement removes": targets(replace("kind", "web", "zone", "")),
    "targets: default rule copies": targets({"source_labels": ["kind"], "target_label": "copy"}),
    "targets: nothing copied removes": targets({"source_labels": ["absent"], "target_label": "zone"}),
    "targets: fixed value": targets({"target_label": "fixed", "replacement": "v"}),
    "targets: separator": targets({"source_labels": ["kind", "absent", "zone"], "separator": "|", "target_label": "joined"}),
    "targets: empty separator": targets({"source_labels": ["kind", "zone"], "separator": "", "target_label": "joined"}),
    "targets: target_label as a template": targets(replace("kind", "(w)(.*)", "${1}_$2", "v")),
    "targets: template that is no name": targets(replace("kind", "(.*)", "$2", "v")),
    "targets: instance from elsewhere": targets({"source_labels": ["kind"], "target_label": "instance"}),
    "targets: address of a label": targets(replace("__address__", "(.*):(.*)", "host", "$1")),
    "targets: __param_": targets({"target_label": "__param_x", "replacement": "1 2"}),
    "targets: scheme and path": targets({"target_label": "__metrics_path__", "replacement": "/p"}),
    "targets: labelmap": targets({"action": "labelmap", "regex": "__tmp_(.+)"}),
    "targets: labelmap with replacement": targets({"action": "labelmap", "regex": "(z)(.*)", "replacement": "${2}_$1"}),
    "targets: labelmap of several to one": targets({"action": "labelmap", "regex": "zone|kind|same", "replacement": "any"}),
    "targets: labeldrop": targets({"action": "labeldrop", "regex": "z.*|kin"}),
    "targets: labeldrop of instance and job": targets({"action": "labeldrop", "regex": "instance|job"}),
    "targets: labelkeep": targets({"action": "labelkeep", "regex": "__.*|case|zone"}),
    "targets: hashmod": targets({"action": "hashmod", "source_labels": ["kind"], "modulus": 1000, "target_label": "shard"}),
    "targets: hashmod of several": targets({"action": "hashmod", "source_labels": ["kind", "absent"], "modulus": 7, "target_label": "shard"}),
    "targets: hashmod of a large modulus": targets({"action": "hashmod", "source_labels": ["zone"], "modulus": 9223372036854775807, "target_label": "shard"}),
    "targets: lowercase and uppercase": targets(
        {"action": "uppercase", "source_labels": ["kind", "zone"], "target_label": "upper"},
        {"action": "lowercase", "source_labels": ["upper"], "target_label": "lower"}),
    "targets: keepequal": targets({"action": "keepequal", "source_labels": ["kind"], "target_label": "same"}),
    "targets: action in capitals": targets({"action": "Keep", "source_labels": ["kind"], "regex": "web"}),
    "targets: rules in order": targets(
        replace("kind", "web", "kind", "db"), replace("kind", "web", "zone", "no"), replace("kind", "db", "zone", "yes")),
    # ------------------------------------------------------------------------------ samples
    "samples: drop": samples({"action": "drop", "source_labels": [NAME], "regex": "go_.*"}),
    "samples: keep": samples({"action": "keep", "source_labels": [NAME, "code"], "regex": "http_total;.00"}),
    "samples: drop all": samples({"action": "drop"}),
    "samples: keep none": samples({"action": "keep", "source_labels": [NAME], "regex": "none"}),
    "samples: drop by a label of the target": samples({"action": "drop", "source_labels": ["kind"], "regex": "web"}),
    "samples: rename": samples(replace(NAME, "http_(.*)", NAME, "web_$1")),
    "samples: rename by labels": samples(replace([NAME, "code"], "http_total;(.)00", NAME, "http_$1xx")),
    "samples: label of the target changes": samples({"target_label": "zone", "replacement": "new"}),
    "samples: label of the target goes": samples({"action": "labeldrop", "regex": "zone|kind"}),
    "samples: instance goes": samples({"action": "labeldrop", "regex": "instance"}),
    "samples: exported label takes its place": samples(
        replace("exported_instance", "(.+)", "instance"), {"action": "labeldrop", "regex": "exported_.*"}),
    "samples: labelmap": samples({"action": "labelmap", "regex": "(co|po)(.*)", "replacement": "${2}_$1"}),
    "samples: labelmap of the name": samples({"action": "labelmap", "regex": "__name__", "replacement": "was"}),
    "samples: labelkeep": samples({"action": "labelkeep", "regex": "__name__|case|pod|code"}),
    "samples: dropequal": samples({"action": "dropequal", "source_labels": ["exported_zone"], "target_label": "absent"}),
    "samples: keepequal": samples({"action": "keepequal", "source_labels": ["kind"], "target_label": "same"}),
    "samples: unicode in capitals": samples(
        {"action": "uppercase", "source_labels": ["name"], "target_label": "upper"},
        {"action": "lowercase", "source_labels": ["name"], "target_label": "lower"}),
    "samples: hashmod": samples(
        {"action": "hashmod", "source_labels": [NAME, "pod"], "modulus": 8, "target_label": "__tmp_h"},
        {"action": "drop", "source_labels": ["__tmp_h"], "regex": "[0-3]"}),
    "samples: labels __ stay": samples({"target_label": "__tmp_x", "replacement": "1"}),
    "samples: empty label counts as absent": samples(replace("pod", "", "no_pod", "y")),
    "samples: dot matches a line end": differs(
        "older: it does since 2.43", [good({'a{x="1\n2",y="both"}': 1}, 1)],
        b'a{x="1\\n2"} 1\n', metric_relabel_configs=[replace("x", "1.2", "y", "both")]),
    "samples: classes": same(
        b'a{x="\xc3\xa4 7\t_"} 1\n', metric_relabel_configs=[
            replace("x", "\\w.*", "word", "y"), replace("x", "\\pL \\d\\s_", "letter", "y"),
            replace("x", "(?i)\xc4.*", "case_", "y"), replace("x", "[[:^alpha:]].*", "posix", "y")]),
    "samples: leftmost first": same(b'a{x="abcd"} 1\n', metric_relabel_configs=[
        replace("x", "(a|ab)(c|bcd)(d*)", "p", "$1-$2-$3"), replace("x", "(?U)(a.*)(.*)", "q", "$1-$2")]),
    "samples: the name goes": same(A, b"b 1\n", A, metric_relabel_configs=[
        replace(NAME, "b", NAME, "")]),
    "samples: the name is dropped": same(A, A, metric_relabel_configs=[{"action": "labeldrop", "regex": "__name__"}]),
    "samples: the name becomes no name": differs(
        "older: any UTF-8 is a name since 3.0", [good({"a b": 1}, 1)], A,
        metric_relabel_configs=[{"target_label": NAME, "replacement": "a b"}]),
    "samples: an invalid series is dropped in time": same(
        b'a 1\nb{x="1",x="1"} 1\n', metric_relabel_configs=[{"action": "drop", "source_labels": [NAME], "regex": "b"}]),
    "samples: rules see canonical bounds": differs(
        "older: bounds are canonical since 3.0", [good({"h_count": 1}, 1, 2, 1)],
        b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_count 1\n',
        metric_relabel_configs=[{"action": "drop", "source_labels": ["le"], "regex": "1\\.0"}]),
    # ------------------------------------------------------------------------ and what follows
    "dropped series get no markers": same(
        b"a 1\ngo 1\n", b"go 2\n", b"go 3\n", b"a 4\ngo 4\n",
        metric_relabel_configs=[{"action": "drop", "source_labels": [NAME], "regex": "go"}]),
    "dropped samples and a failure": same(
        b"a 1\ngo 1\n", b"go 2\n!\n", Reply(b"", "503 Down"), b"go 3\na 3\n",
        metric_relabel_configs=[{"action": "drop", "source_labels": [NAME], "regex": "go"}]),
    "report series are not relabelled": same(
        A, metric_relabel_configs=[{"action": "drop", "source_labels": [NAME], "regex": "up|scrape_.*"}]),
    "drop by value of the target and go on": same(
        BODY, b"", BODY, labels=LABELS, metric_relabel_configs=[{"action": "drop", "source_labels": ["code", "zone"], "regex": "500;z1"}]),
    "relabelled series vanish": same(
        b"old_a 1\nold_b 1\n", b"old_a 2\n", b"old_b 3\n",
        metric_relabel_configs=[replace(NAME, "old_(.*)", NAME)]),
}
