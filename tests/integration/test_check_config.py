# SPDX-License-Identifier: GPL-2.0-or-later
"""`limpet check config` takes and refuses the files that Prometheus takes and refuses.

Debian's promtool is older (2.42) than the reference (3.14). Where the two differ, a case says what
promtool makes of it and why; then limpet follows the reference.
"""
import re
import subprocess

import pytest

from lib.proc import built

VALID, INVALID = True, False
UTF8 = "label names are UTF-8 since 3.0"


class Case:
    def __init__(self, name, text, valid, older=None):
        """older: why promtool says the opposite."""
        self.name, self.text, self.valid, self.older = name, text, valid, older


def rule(name, text, valid, older=None):
    return Case(name, f"scrape_configs:\n- job_name: j\n  relabel_configs:\n  - {text}\n", valid, older)


def job(name, text, valid, older=None):
    return Case(name, f"scrape_configs:\n- job_name: j\n  {text}\n", valid, older)


def remote(name, text, valid, older=None):
    return Case(name, f"remote_write:\n- url: http://h/w\n  {text}\n", valid, older)


RULES = [
    rule("replace with defaults", "{source_labels: [a], target_label: b}", VALID),
    rule("replace without target_label", "{source_labels: [a]}", INVALID),
    rule("rule without keys", "{}", INVALID),
    rule("null rule", "~", INVALID),
    rule("action in upper case", "{action: KEEP, source_labels: [a], regex: b}", VALID),
    rule("unknown action", "{action: dorp}", INVALID),
    rule("empty action", "{action: ''}", INVALID),
    rule("null action", "{action: , target_label: a}", INVALID),
    rule("unknown key", "{target_labels: a}", INVALID),
    rule("source_labels as a string", "{source_labels: a, target_label: b}", INVALID),
    rule("empty name in source_labels", "{source_labels: [''], target_label: b}", INVALID),
    rule("dash in source_labels", "{source_labels: [a-b], target_label: b}", VALID, UTF8),
    rule("target_label with dash", "{target_label: a-b}", VALID, UTF8),
    rule("target_label with digit first", "{target_label: 0a}", VALID, UTF8),
    rule("target_label as a template", "{source_labels: [a], target_label: x_$1}", VALID),
    rule("target_label with braces", "{source_labels: [a], target_label: 'x_${1}_y'}", VALID),
    rule("target_label with a lone dollar", "{target_label: 'a$'}", VALID, UTF8),
    rule("empty replacement", "{target_label: a, replacement: ''}", VALID),
    rule("replacement with any template", "{target_label: a, replacement: '${ $ $$'}", VALID),
    rule("number as replacement", "{target_label: a, replacement: 1}", VALID),
    rule("empty regex", "{target_label: a, regex: ''}", VALID),
    rule("null regex", "{target_label: a, regex: }", VALID),
    rule("regex with groups", "{target_label: a, regex: '([^:]+)(?::\\d+)?;(?P<port>\\d+)'}", VALID),
    rule("regex group named without P", "{target_label: a, regex: '(?<port>\\d+)'}", VALID,
         "Go 1.22 brought this spelling"),
    rule("regex with an open group", "{target_label: a, regex: '('}", INVALID),
    rule("regex with a closed group", "{target_label: a, regex: ')'}", INVALID),
    rule("regex that escapes its group", "{target_label: a, regex: 'a)|(b'}", VALID),
    rule("regex with an open class", "{target_label: a, regex: '[a'}", INVALID),
    rule("regex with a class upside down", "{target_label: a, regex: '[b-a]'}", INVALID),
    rule("regex with look-ahead", "{target_label: a, regex: 'a(?=b)'}", INVALID),
    rule("regex with look-behind", "{target_label: a, regex: '(?<=a)b'}", INVALID),
    rule("regex with a back-reference", "{target_label: a, regex: '(a)\\1'}", INVALID),
    rule("regex with a byte", "{target_label: a, regex: '\\C'}", INVALID),
    rule("regex with flags", "{target_label: a, regex: '(?i)a(?s-m:.)(?U:b*)'}", VALID),
    rule("regex with unknown flags", "{target_label: a, regex: '(?x)a'}", INVALID),
    rule("regex with unicode classes", "{target_label: a, regex: '\\p{Greek}\\pL\\PN'}", VALID),
    rule("regex with an unknown class", "{target_label: a, regex: '\\p{Klingon}'}", INVALID),
    rule("regex with a thousand repeats", "{target_label: a, regex: 'a{1000}'}", VALID),
    rule("regex with one repeat more", "{target_label: a, regex: 'a{1001}'}", INVALID),
    rule("regex with repeats of repeats", "{target_label: a, regex: '(a{100}){100}'}", INVALID),
    rule("regex with a possessive repeat", "{target_label: a, regex: 'a++'}", INVALID),
    rule("regex of a large class", "{target_label: a, regex: '\\pL{800}'}", VALID),
    rule("keep with defaults", "{action: keep}", VALID),
    rule("keep with a target_label", "{action: keep, target_label: a}", VALID),
    rule("drop with a replacement", "{action: drop, replacement: x}", VALID),
    rule("hashmod", "{action: hashmod, source_labels: [a], target_label: b, modulus: 8}", VALID),
    rule("hashmod without modulus", "{action: hashmod, target_label: b}", INVALID),
    rule("hashmod with modulus 0", "{action: hashmod, target_label: b, modulus: 0}", INVALID),
    rule("hashmod with a negative modulus", "{action: hashmod, target_label: b, modulus: -1}", INVALID),
    rule("hashmod with modulus as text", "{action: hashmod, target_label: b, modulus: x}", INVALID),
    rule("hashmod without target_label", "{action: hashmod, modulus: 8}", INVALID),
    rule("labelmap", "{action: labelmap, regex: a_(.+)}", VALID),
    rule("labelmap with a replacement", "{action: labelmap, regex: a_(.+), replacement: 'b_${1}'}", VALID),
    rule("labelmap with an odd replacement", "{action: labelmap, regex: a, replacement: 'b-$1'}", VALID, UTF8),
    rule("labelmap with an empty replacement", "{action: labelmap, regex: a, replacement: ''}", INVALID),
    rule("labeldrop", "{action: labeldrop, regex: a}", VALID),
    rule("labeldrop with a target_label", "{action: labeldrop, regex: a, target_label: b}", INVALID),
    rule("labeldrop with empty source_labels", "{action: labeldrop, regex: a, source_labels: []}", INVALID),
    rule("labeldrop with null source_labels", "{action: labeldrop, regex: a, source_labels: }", VALID),
    rule("labeldrop with the default separator", "{action: labeldrop, separator: ';'}", VALID),
    rule("labelkeep with a separator", "{action: labelkeep, separator: ','}", INVALID),
    rule("labelkeep with a replacement", "{action: labelkeep, replacement: x}", INVALID),
    rule("labelkeep with a modulus", "{action: labelkeep, modulus: 1}", INVALID),
    rule("lowercase", "{action: lowercase, source_labels: [a], target_label: b}", VALID),
    rule("lowercase with a replacement", "{action: lowercase, target_label: b, replacement: x}", INVALID),
    rule("uppercase without target_label", "{action: uppercase, source_labels: [a]}", INVALID),
    rule("uppercase with a regex", "{action: uppercase, target_label: b, regex: x}", VALID),
    rule("keepequal", "{action: keepequal, source_labels: [a], target_label: b}", VALID),
    rule("keepequal without target_label", "{action: keepequal, source_labels: [a]}", INVALID),
    rule("keepequal with the default regex", "{action: keepequal, target_label: b, regex: (.*)}", INVALID),
    rule("dropequal with a separator", "{action: dropequal, target_label: b, separator: ','}", INVALID),
    rule("dropequal with a replacement", "{action: dropequal, target_label: b, replacement: x}", INVALID),
    job("rules of samples", "metric_relabel_configs: [{action: drop, regex: a|b}]", VALID),
    job("bad rule of samples", "metric_relabel_configs: [{action: hashmod}]", INVALID),
    job("null rule of samples", "metric_relabel_configs: [null]", INVALID),
    job("rules as a mapping", "relabel_configs: {action: drop}", INVALID),
    job("null rules", "relabel_configs: ", VALID),
    remote("rules of a remote", "write_relabel_configs: [{action: labeldrop, regex: a}]", VALID),
    remote("bad rule of a remote", "write_relabel_configs: [{regex: '*'}]", INVALID),
    remote("null rule of a remote", "write_relabel_configs: [~]", INVALID),
]

FILES = [
    Case("empty file", "", VALID),
    Case("unknown key", "globl: {}", INVALID),
    Case("key given twice", "global: {}\nglobal: {}", INVALID),
    Case("external label of an empty value", "global: {external_labels: {a: ''}}", VALID),
    Case("external label with a dash", "global: {external_labels: {a-b: x}}", VALID, UTF8),
    Case("interval without a unit", "global: {scrape_interval: 15}", INVALID),
    Case("interval of several units", "global: {scrape_interval: 1m30s}", VALID),
    Case("units in the wrong order", "global: {scrape_interval: 30s1m}", INVALID),
    Case("time-out longer than the interval", "global: {scrape_interval: 5s, scrape_timeout: 6s}", INVALID),
    Case("rules of alerts", "rule_files: [a.yml]", INVALID),
    Case("job without a name", "scrape_configs: [{metrics_path: /x}]", INVALID),
    Case("null job", "scrape_configs: [~]", INVALID),
    Case("two jobs of one name", "scrape_configs: [{job_name: a}, {job_name: a}]", INVALID),
    job("target with a path", "static_configs: [{targets: ['h:1/x']}]", INVALID),
    job("targets and labels", "static_configs: [{targets: ['h:1', 'h'], labels: {a: b}}]", VALID),
    job("unknown scheme", "scheme: ftp", INVALID, "2.42 does not look at it"),
    job("parameters", "params: {a: [b, c], d: []}", VALID),
    job("parameter that is no list", "params: {a: b}", INVALID),
    job("file without a known ending", "file_sd_configs: [{files: [a.txt]}]", INVALID),
    job("boolean in quotes", "honor_labels: 'true'", INVALID),
    job("boolean of YAML 1.1", "honor_labels: yes", VALID),
    remote("headers", "headers: {X-A: b}", VALID),
    remote("header that is taken", "headers: {Authorization: b}", INVALID),
    remote("no shards at all", "queue_config: {max_shards: 0}", INVALID, "2.42 does not look at it"),
    Case("remote without a URL", "remote_write: [{name: a}]", INVALID),
    Case("two remotes of one name",
         "remote_write: [{url: 'http://a/', name: n}, {url: 'http://b/', name: n}]", INVALID),
]


def verdict(argv, path):
    done = subprocess.run([*argv, path], capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, 1), f"{argv}: status {done.returncode}\n{done.stderr}"
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("case", RULES + FILES, ids=lambda case: case.name)
def test_limpet_agrees_with_prometheus(case, tmp_path):
    path = tmp_path / "f.yml"
    path.write_text(case.text)
    mine, my_words = verdict([built("limpet"), "check", "config"], path)
    theirs, their_words = verdict(["promtool", "check", "config", "--agent"], path)
    assert mine == case.valid, my_words
    assert theirs == (case.valid != bool(case.older)), their_words
    if not mine:
        assert re.match(r".*/f\.yml:\d+:\d+: .", my_words), "an error has a position"


def test_rules_are_counted(tmp_path):
    path = tmp_path / "f.yml"
    path.write_text(
        "scrape_configs:\n"
        "- job_name: j\n"
        "  static_configs: [{targets: [h]}]\n"
        "  relabel_configs: [{target_label: a}, {action: labelmap, regex: '[a-c](.)'}]\n"
        "  metric_relabel_configs: [{action: drop, regex: x}]\n"
        "remote_write: [{url: 'http://h', write_relabel_configs: [{action: keep}]}]\n")
    good, words = verdict([built("limpet"), "check", "config"], path)
    assert good, words
    assert "2 relabelling rules for targets" in words
    assert "1 relabelling rule for samples" in words
    assert "1 relabelling rule for what is sent" in words
