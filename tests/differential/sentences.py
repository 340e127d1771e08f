# SPDX-License-Identifier: GPL-2.0-or-later
"""The reference sentence by sentence, as far as its sentences say what can be seen from outside, and the
cases that show each; test_sentences.py checks that they exist and that none is without one.

One sentence a line, in our words, numbered by its place in its section (2.1.3 is the third line of
2.1), and behind the bar what shows it, separated by semicolons:

    T012 O003 S001      a vector of tests/data/exposition-vectors.jsonl: S only for unit/exposition/test_vectors
    a name              a case of cases_*.py; * and ? stand for characters as in a shell
    changes: a name     a case of test_changes.py
    config: a name      a case of tests/integration/check_cases.py
    unit x/test_y: z    a test of tests/unit/x/test_y.c
    other test_x: y     a test of tests/integration/test_x.py; differential: of this folder
"""

SENTENCES = {
    "1.1": """
the interval is a label of the target: another one makes another target | changes: interval changed
phases survive a restart | unit scrapers/test_schedule: a_restart_does_not_move_phases
phases depend on host and external labels | unit discovery/test_target_build: the_seed_depends_on_host_and_external_labels
one missed tick is made up for, more are lost | unit scrapers/test_tick: a_start_makes_up_for_one_missed_tick_and_no_more
""",
    "1.2": """
lateness of up to 2 ms or a hundredth is forgiven | unit scrapers/test_tick: lateness_is_forgiven_up_to_two_milliseconds_or_a_hundredth
timestamps are one interval apart | other test_scrape_cases: test_timestamps_are_one_interval_apart
a clock that is set back or forward | unit scrapers/test_schedule: a_clock_set_forward_or_back_is_noticed_and_followed
""",
    "1.3": """
the headers of every request | other test_scrape_cases: test_every_request_has_the_headers_of_prometheus
the time-out as the shortest decimal | time-out of the target; short interval of the job; unit scrapers/test_request: the_timeout_is_the_shortest_decimal
protocols in the order of the job, with their weights | unit scrapers/test_request: accepts_the_formats_of_the_job_in_its_order
escaping is asked for | unit scrapers/test_request: names_are_to_be_escaped_as_the_job_says
native histograms put protobuf first | unit scrapers/test_request: accepts_the_formats_of_the_job_in_its_order
connections are kept | other test_scrape_cases: test_connections_are_kept_where_the_answer_allows_it
no cookies | redirect with a cookie
__unix_socket__ | other test_http_client: test_a_target_behind_a_unix_socket
""",
    "1.4": """
a failure to connect, send or receive a head | hangs; reset in the head; end in the head; not HTTP
ten redirects are followed | nine redirects; ten redirects; redirect without end
follow_redirects: false makes 3xx an error | redirect that is not followed
credentials go to no other host | other test_http_routes: test_credentials_do_not_go_to_strangers
any status but 200 fails, 204 and 206, too | status *
gzip only if Content-Encoding says exactly so | gzip; gzip in upper case; x-gzip; plain text called deflate; plain text called identity
several members | gzip of several members
garbage behind, a cut stream, a wrong sum | gzip with garbage behind; gzip cut; gzip without trailer; gzip with a wrong sum; gzip of nothing
a body of exactly body_size_limit fails | body_size_limit reached; body_size_limit not reached
uncompressed bytes count for it | body_size_limit and gzip; body_size_limit of a bomb
its failed scrape reports a size of -1 | body_size_limit exceeded
an empty body is good, of whatever type | empty body; empty body of an odd type; empty body after good; OpenMetrics: an empty body
the time-out covers the body | hangs in the body; hangs after the head
""",
    "1.5": """
type and subtype in any case, without the parameters | type in upper case; version=99; parameters of text/plain; OpenMetrics type in upper case; OpenMetrics 2.0.0
a parameter twice, a bare slash, no subtype | parameter twice; bare slash; type without subtype
no Content-Type, or another one | no Content-Type; blank Content-Type; HTML; JSON; HTML page
the fallback is for those | HTML with fallback; nothing with fallback to 1.0.0; fallback to OpenMetrics
and never for a type that is known | fallback is not used for a known type
""",
    "1.6": """
samples, markers and report come together or not at all | parse error in the middle; bad label in the middle
a transport failure counts as an empty scrape | two failures in a row; reset after good
a scrape that fails while it is read keeps its counts | parse error in line 400 of 500; label_limit exceeded; sample_limit far exceeded
target_limit: nothing is asked, markers once, up 0 each interval | target_limit exceeded
""",
    "2.1": """
p, P and _ stand in no number | T051; T267; T268; T277; T278; T279
digits with a point anywhere | T040; T050; text: a point at the end
but one digit at least | T042; T044; T192; T263; text: no digit at all
an exponent with a digit at least | T045; T046; text: an exponent without digits; text: an exponent of a sign alone; text: an exponent without a number
inf and infinity in any case, with a sign | T032; T261; T262
nan in any case | text: NaN in any case
but without a sign | T031; text: NaN with a sign
no hexadecimal, octal or binary numbers | T036; T049; T257; text: a binary number
no payload of NaN, nothing behind | T260; T191; text: NaN with a payload; text: a number with a comma
rounded to nearest even, whatever the number of digits | T055; T056; T252; text: halfway to the next number; text: eight hundred digits
overflow is an error | T037; T251; T253; O130
underflow is none | T254; T255; text: a huge exponent of nothing
minus zero keeps its sign | a negative zero
every NaN of a text has the same bits | values that look like markers
bounds under TYPE histogram and quantiles under TYPE summary are rewritten | T291; O137; text: bounds; text: quantiles
by Go's rules for numbers, with _ and hexadecimal | text: bounds
those that are no numbers stay | text: bounds
on any sample | text: bounds of any sample
not for gauge histograms | text: bounds of a gauge histogram
nor without a type, nor before it | T197; text: bounds without a type; text: bounds before their type
the last TYPE line counts | text: bounds until the next type; unit exposition/test_parser: the_last_type_line_decides_what_is_normalised
rules see them rewritten | samples: rules see canonical bounds
a target that changes its spelling goes on | text: bounds of a target that changes its spelling; text: bounds of two spellings
""",
    "2.2": """
the last line needs no end | T004; text: no end of the last line
only space and tab are blanks | T203; T205; text: a vertical tab; text: a vertical tab behind
blanks before a name belong to it | T013; T014; T219; T220; T221; text: blanks before a name
so that it is refused where names are legacy | a blank before a name where names are legacy
but not before braces or # | T096; text: blanks before a quoted name; text: blanks before a comment
lines of blanks | T003; text: blanks in an empty line
name and value need no blank between | T065; T107; T212; T213; T214; T307; text: no blank before a minus
what cannot go on with a name begins a value | T082; T215; T216; T217; T218; text: a point in a name; text: no blank before a value that is NaN
a value ends at a brace | T185; T187; T189; text: labels behind the value
a timestamp is digits only | T021; T022; T023; T024; T264; T027; text: timestamps with leading zeros
that fit into 64 bits | T025; T026; T265
nothing but blanks follows it | T028; T019; T020; text: two values; text: a comment behind the value
a comma between labels may be missing | T064; text: no comma between labels
one may stand at the end | T060; T088; T226; text: a comma at the end of labels
no two, none in front, none alone | T059; T061; T240; text: two commas; text: nothing but a comma
empty braces | T057; T058
blanks between all tokens of labels | T067; T070; T226; text: blanks everywhere
no single quotes | T228; text: single quotes
a line end stands in a value of a label and in a quoted name | T071; T105; text: a line end in a value
but not behind a backslash | T207; text: a backslash before a line end
three escapes are decoded, others stay | T072; T106; text: escapes
a quoted name stands anywhere in the braces | T087; T088; T089; T090; T092; T237; T238; text: a quoted name behind labels
but once, and with no name in front | T091; T097; T234; text: a quoted name twice
without one there is no name | T094; T236
__name__ is no way to name a metric | T241; T242; text: __name__ in braces alone
quotes without braces | T099; T100; text: a quoted name in front
braces twice | T068; T069; T101; text: a quoted name and braces
values of labels are UTF-8 | T271; text: a value that is no UTF-8; text: a value that is a surrogate; text: a value that is overlong; text: a value beyond Unicode; text: a value at the end of Unicode
and help | T122; text: help that is no UTF-8
quoted names are looked at behind the parser, and the scrape fails | T102; text: a quoted name that is no UTF-8
no bytes beyond ASCII without quotes | T084; T085
no byte order mark | text: a byte order mark
NUL in a value of a label, help, or a comment | T167; T224; T284; T158; text: a NUL in a comment; text: a NUL in help; text: a NUL in a value of a label
NUL at the start of a line ends the body well | T162; T222; T223; text: a NUL at the start of a line
also in a comment without a blank | T160; T161; text: a NUL in a comment without a blank
elsewhere it is an error | T166; T168; T169; T286; T288; text: a NUL in a name; text: a NUL in a number
CR is no end of a line | T006; T007; T008; T012; T308; text: CR LF throughout; text: an empty line of CR LF
a type with CR fails, help keeps it, comments do not care | T009; text: a CR behind a type; text: a CR behind a comment
HELP alone with CR | text: a CR behind HELP alone
#HELP and #TYPE are comments | T112; T113; text: HELP without a blank
words that begin like them, too, and UNIT and EOF | T126; T148; T150; T151; text: words that begin like HELP; text: UNIT and EOF
help may be empty | T117; T118; text: HELP of a name alone
HELP and TYPE alone are comments, with a blank behind they are not | T123; T124; T152; text: HELP alone; text: HELP and a blank
a name has to follow | T141; T247; T283; text: TYPE of a hash
one byte parts name and help, the rest is kept | T119; T120; T250
two escapes of help | T121; T249
five types in lower case | T127; T129; T136; T137; T138; T139; T140; T142; text: a type in capitals; text: types of OpenMetrics; text: untyped
nothing behind them, and none is an error | T133; text: a blank behind a type; text: two blanks before a type; text: TYPE of nothing
names of metadata may be quoted | T143; T144; T246
types again, behind, and mixed | T147; T303; text: types again and behind
no exemplars | T183; T305; text: an exemplar
""",
    "2.3": """
one space and no tab | O012; O013; O069; OpenMetrics: two blanks; OpenMetrics: a tab
none in front, none behind | O014; O015; O119; S024; OpenMetrics: a blank in front
no empty lines | O016; O017; S023; OpenMetrics: an empty line
no comments | O018; O019; O107; OpenMetrics: a comment
no blanks in braces | O063; O065; O066; OpenMetrics: blanks in braces; OpenMetrics: blanks between labels
EOF with or without a line end | O001; O002; O006; O007; OpenMetrics: nothing but EOF
nothing behind it | O003; O004; O135; S044; S045; S046; OpenMetrics: a sample behind EOF; OpenMetrics: a line end behind EOF; OpenMetrics: EOF and more
but NUL | O136; OpenMetrics: a NUL behind EOF
EOF has to be there | O109; O110; O128; S019; OpenMetrics without EOF; OpenMetrics: no EOF
the empty body is good all the same | OpenMetrics: an empty body
CR is no end of a line | O008; O010; O011; OpenMetrics: CR LF
metadata need their second space | O022; O127; S035; S037; OpenMetrics: HELP without a blank behind; OpenMetrics: empty help
eight types, untyped is none | O126; S026; OpenMetrics: all types; OpenMetrics: untyped
a unit is the end of the name, behind an underscore | O030; O031; O032; O033; O111; O112; S033; OpenMetrics: a unit; OpenMetrics: a unit that the name lacks; OpenMetrics: a unit that is the name; OpenMetrics: a unit without its underscore
or empty | O034; OpenMetrics: a unit
a comma between labels has to be there, one at the end may | O064; OpenMetrics: no comma between labels
no line end in a value of a label, but in a quoted name | O072; S060; OpenMetrics: a line end in a label
the escapes are those of the other format, for help, too | O023; OpenMetrics: escapes
quoted names | O117; O118; O129; O139
a timestamp is a number of seconds, cut to milliseconds | O043; O044; O046; O047; O048; O050; O052; O053; O056; O132; O140; O141; OpenMetrics: a timestamp; OpenMetrics: a fraction of a millisecond
not NaN or infinity | S080; S081; S082; OpenMetrics: a timestamp of NaN; OpenMetrics: a timestamp of +Inf
those that do not fit wrap | O051; O142
an exemplar behind a sample of any type | O075; O076; O077; O078; O080; O092; OpenMetrics: an exemplar of anything
whose values of labels are not unescaped | O088; exemplars: escapes are kept
with empty braces, without timestamp | O147; exemplars: without times
a second one is an error | O115; OpenMetrics: two exemplars
no value, no exemplar | S068; OpenMetrics: an exemplar without a value
what the format forbids in meaning is taken | O035; O036; O037; O038; O039; O040; O041; O042; O143; OpenMetrics: sense is not looked for
what 2.0 adds is an error | O113; OpenMetrics: histograms of 2.0; OpenMetrics: a start timestamp of 2.0
version=2.0.0 is read by this grammar | OpenMetrics 2.0.0
_created lines are samples | S003; S005; OpenMetrics: created lines
or start timestamps of the samples before them, if that is wanted | S001; S002; S006; S011; S013; unit scrapers/test_items: created_lines_are_samples_or_start_timestamps; unit exposition/test_parser: a_created_line_belongs_to_the_samples_before_it
NaN and negative ones | S007; S009
""",
    "2.4": """
the first error ends the scrape, nothing of it is sent | parse error at once; parse error in the middle; parse error at the end; text: an error in the last byte
what came before it is counted | parse error in line 400 of 500
the words of the error are Prometheus' | unit exposition/test_vectors: every_vector_gives_its_entries_bits_and_error
""",
    "2.5": """
one text is one series: the first sample counts | a line twice; a line three times among others; O099; O061
with timestamps each sample does | two timestamps in one body; one timestamp twice in one body
spellings of the same labels | two spellings; order of labels; one spelling for another; T294; T295
a sample that is not newer than the last is dropped, the scrape is good | the same timestamp again; a timestamp that goes back
but within out_of_order_time_window | unit scrapers/test_limits: samples_within_the_window_may_be_older
ten minutes ahead | a timestamp more than ten minutes ahead; a timestamp less than ten minutes ahead
a label name twice fails the scrape | label name twice; label twice with one value; O074
""",
    "3.1": """
a frame that is cut fails, and nothing of its family counts | protobuf: cut; protobuf: cut in the length; protobuf: cut behind a metric; protobuf: a length beyond the body; protobuf: a length of six bytes
as does what is no message | protobuf: not protobuf
an unknown type | protobuf: unknown type
a name of no UTF-8 or none | protobuf: a name that is no UTF-8; protobuf: no name
a value of a label of no UTF-8 | protobuf: label that is no UTF-8
a family without metrics | protobuf: family without metrics
a unit may stand behind the metrics | protobuf: values of both families; unit exposition/test_protobuf: a_unit_may_stand_behind_the_metrics
an untyped metric without a value has that of the one before | protobuf: untyped without a value
""",
    "3.2": """
what counters, gauges and untyped metrics become | protobuf: counter; protobuf: gauge and untyped
summaries | protobuf: summary; protobuf: summary without quantiles; protobuf: values of both families
histograms, with the bucket they lack | protobuf: histogram; protobuf: histogram with +Inf; protobuf: a histogram without buckets
the first +Inf ends them | protobuf: buckets in any order
gauge histograms have the same suffixes | protobuf: gauge histogram
counts that are floats win | protobuf: counts that are floats
a timestamp of zero is none | protobuf: timestamp zero
NaN keeps its bits, a marker is one | protobuf: a value of NaN; protobuf: a staleness marker
exemplars of counters and buckets | exemplars: in protobuf
""",
    "3.3": """
spans, a threshold or an integer count of zeros make it native | histograms: one; histograms: zero bucket only; histograms: nothing native in it
a float count of zeros does not | histograms: a zero bucket of floats alone
a span without length is an empty native one | histograms: a span of no length
if it is not wanted it is a classic one | histograms: not wanted; histograms: classic ones
always_scrape_classic_histograms gives both | histograms: classic ones beside
empty buckets at the edges go | histograms: empty buckets at the edges; histograms: an interval that is empty
spans that do not fit the buckets | histograms: too few deltas
schemas from -4 to 8 | histograms: schema of -4; histograms: schema of 8; histograms: schema of 9; histograms: schema of -5
spans do not go back | histograms: a negative offset; histograms: spans that overlap
no negative count of a bucket | histograms: a negative bucket
buckets add up to the count | histograms: too many in buckets; histograms: too few in buckets
unless the sum is NaN | histograms: a sum of NaN
rules of custom buckets | unit exposition/test_histogram: custom_buckets_have_rules_of_their_own
exemplars without a time are none, the others are sorted | unit exposition/test_protobuf: a_float_histogram_of_a_gauge_keeps_its_kind_and_exemplars_in_order
""",
    "3.4": """
too many buckets are made fewer | histograms: limit of buckets
or fail the scrape | histograms: limit of buckets that cannot be
the least growth | histograms: least growth of buckets
""",
    "3.5": """
classic histograms become native ones | histograms: converted from text; unit scrapers/test_items: classic_histograms_become_native_ones
bounds in any order, and again | unit exposition/test_histogram: bounds_may_come_in_any_order_and_again
those that contradict themselves become none | unit exposition/test_histogram: classic_histograms_that_contradict_themselves_are_none
TYPE and names group them | unit scrapers/test_items: without_a_type_line_nothing_is_converted
""",
    "3.6": """
the marker of a histogram is a float | histograms: vanish; histograms: become floats
1.0 has no place for custom buckets | histograms: converted from text
""",
    "4.1": """
a timestamp counts if it is honored | timestamps; honor_timestamps off; honor_timestamps off, far ahead; honor_timestamps off, several
what rules drop is counted before, not behind them | samples: drop; dropped series get no markers; drop by value of the target and go on
rules that take the name fail the scrape | samples: the name goes; samples: the name is dropped; __name__ empty
names are looked at behind the rules | samples: the name becomes no name; samples: an invalid series is dropped in time; UTF-8 names
and where they are legacy | legacy names; a quoted name where names are legacy; a quoted label where names are legacy; a colon in a label where names are legacy
limits of labels behind the rules | label_limit after relabelling; label_limit does not count what is dropped
the limit of samples comes before times are looked at | sample_limit counts what is far ahead; sample_limit counts what is too old
new series count as added | series added one by one; series of every scrape new
duplicates and refused samples count behind the rules | a line twice; the same timestamp again; a timestamp more than ten minutes ahead
""",
    "4.2": """
labels __ of the target stay inside | labels __ of the target stay hidden
an empty label is none | empty label; label of the target that is empty; label_limit does not count empty labels
without honor_labels the target's win | target labels win; exposed label of the same value is renamed
the exposed one becomes exported_ | exposed exported_job; exported_ name that the target has; exported_ name that both have
the shortest name first | several labels clash, the shortest name first
an empty exposed one does not | empty exposed label leaves the target's
with honor_labels the exposed ones win | exposed labels win; honored job and instance
an empty one, too | empty exposed label honored hides the target's
""",
    "4.3": """
number, names and values of labels | label_limit exceeded; label_name_length_limit exceeded; label_value_length_limit exceeded
reached is not exceeded | label_limit reached; label_name_length_limit reached; label_value_length_limit reached; sample_limit reached; target_limit reached
the target's labels and the name count | label_limit exceeded by the target; label_name_length_limit of the name; label_value_length_limit of the metric's name; label_value_length_limit exceeded by the target
sample_limit counts what rules leave | sample_limit does not count what rules drop; sample_limit counts a line twice once
target_limit counts targets that differ and are not dropped | target_limit counts doubles once; target_limit does not count what rules drop
each has a counter and a reason | other test_limits: test_each_limit_is_counted_under_its_reason; other test_limits: test_the_page_of_targets_says_which_limit_was_exceeded
markers are exempt from sample_limit | sample_limit and markers
""",
    "4.4": """
128 characters, not bytes | exemplars: of 128 characters; exemplars: of 129 characters; exemplars: of 128 characters that are more bytes
without a time: the sample's | exemplars: without times; exemplars: of a sample with a time
a label twice, an empty label | exemplars: a label twice; exemplars: an empty label
the last one again is not sent | exemplars: unchanged; exemplars: without times, unchanged; exemplars: whose order of labels changes
any difference makes it another | exemplars: another value at the same time; exemplars: with times of their own
no order of times | exemplars: that go back in time
none for a sample that is refused or dropped | exemplars: of a sample that is too old; exemplars: of a series that rules drop; exemplars: of a scrape that fails
""",
    "4.5": """
a series that vanishes is marked at the next scrape's time | a series vanishes; all series vanish; all series vanish, comments stay
tracking is by labels, not by text | one spelling for another; two spellings
a failed scrape marks all, once | two failures in a row; every second scrape fails; fails from the start
a scrape that fails at a line marks what it had not reached | parse error twice; parse error, then transport; bad label in the middle
what it had reached counts as seen | parse error with a new series; parse error with a new series that never comes
the first ones of a scrape beyond sample_limit stay | sample_limit exceeded for long; sample_limit and failures
a series comes back without ado | a series vanishes and returns; a series returns after a failure; a series returns after two scrapes
a sample refused for its time counts as absent | a sample that is too old counts as absent; a series loses its timestamp
timestamps of their own: no markers | a series with a timestamp vanishes; a series with a timestamp, and a failure; a series with a timestamp returns
but with track_timestamps_staleness | track_timestamps_staleness
a target that goes is marked with its report series | changes: target removed; changes: one of two targets removed; changes: target dropped by new rules; changes: label changed
a job that goes | changes: job removed
the end of the process marks nothing | differential test_changes: test_the_end_of_an_agent_marks_nothing
settings that restart loops mark nothing | changes: time-out changed; changes: sample_limit changed; changes: credentials changed
others mark what does not go on | changes: series dropped by new rules; changes: honor_timestamps changed; changes: label added by new rules; changes: parameters changed
a target that was never scraped | changes: never scraped; unit scrapers/test_targets: a_target_that_was_never_scraped_goes_without_a_word
a native histogram has a float for a marker | histograms: vanish; histograms: an empty body
""",
    "4.6": """
what a good scrape lacks is new when it returns | a series returns after an empty body; a series returns after a parse error; series added after a parse error
metadata is known for ten scrapes more | unit scrapers/test_items: a_family_is_known_for_ten_scrapes_more
""",
    "4.7": """
report series have the labels of the target and no rules | report series are not relabelled; label_limit exceeded by the target
scraped counts duplicates, dropped ones, and those before an error | a line twice; samples: drop all; parse error in line 400 of 500
nothing of a transport failure | reset in the body; hangs in the body; parse error, then reset
added counts texts once | a line three times among others; sample_limit exceeded by what was there
extra_scrape_metrics: time-out, limit, bytes | sample_limit reached; body_size_limit exceeded; body_size_limit and a parse error; interval and time-out by a rule
a target that exposes up | exposes up; exposes up with a label
""",
    "5.1": """
labels of the target hide defaults | job given; instance given; path of the target; parameter of the target; interval of the target; time-out of the target
empty ones do not | instance empty; unit discovery/test_target_build: an_empty_group_label_takes_the_default
the first value of each parameter | parameter of the target; new parameter of the target
""",
    "5.2": """
dropped | no target: dropped
no address, or one with a slash | no target: address removed; no target: address with a path; no target: labelkeep without the address
interval and time-out that are none, or do not fit | no target: interval that is none; no target: interval of zero; no target: time-out of zero; no target: time-out longer than the interval
the histogram labels are booleans | unit discovery/test_target_build: rules_may_leave_what_is_no_target
instance is the address if there is none | instance empty; targets: labeldrop of instance and job
""",
    "5.4": """
equal labels and URL, one target | targets alike are one; targets that differ in a meta label are one; changes: meta label changed
""",
    "5.5": """
the path is a path | path with query characters; path with blanks and letters; path without slash
parameters in order of name, in form style | parameters; empty parameter; parameter with a null; targets: __param_
""",
    "6.1": """
defaults | targets: default rule copies; targets: fixed value; targets: matches the whole
empty regex, separator and replacement are honored | targets: empty separator; targets: empty replacement removes; samples: empty label counts as absent
actions in any case | targets: action in capitals
""",
    "6.2": """
anchored at both ends | targets: does not match; targets: matches the whole
a dot matches a line end | samples: dot matches a line end
classes, flags, leftmost first | samples: classes; samples: leftmost first
""",
    "6.3": """
the longest name, groups that are not there, dollars | targets: dollars; targets: named group; targets: group that is not there
""",
    "6.4": """
replace writes nothing if the name is none | targets: template that is no name; targets: target_label as a template
an empty value deletes | targets: nothing copied removes; targets: empty replacement removes
keep and drop | targets: keep; samples: keep; samples: drop; samples: keep none; samples: drop all
keepequal and dropequal | targets: keepequal; samples: keepequal; samples: dropequal
lowercase and uppercase by characters | targets: lowercase and uppercase; samples: unicode in capitals
hashmod | targets: hashmod; targets: hashmod of several; targets: hashmod of a large modulus; samples: hashmod
labelmap | targets: labelmap; targets: labelmap with replacement; targets: labelmap of several to one; samples: labelmap of the name
labeldrop and labelkeep | targets: labeldrop; targets: labelkeep; samples: labelkeep; samples: the name is dropped
rules in order, the first drop ends | targets: rules in order
""",
    "6.5": """
what is refused | config: hashmod with modulus 0; config: *without target_label; config: labelmap with an empty replacement; config: lowercase with a replacement; config: keepequal with the default regex; config: dropequal with a *; config: labelkeep with a *; config: unknown action; config: null rule; config: dash in a target_label where names are legacy
""",
    "8.1": """
unknown keys and keys given twice | config: unknown key*; config: key given twice*
what an agent has no use for | config: rules of alerts; config: remote_read; config: alerting*; config: null in remote_read
variables in external labels only | config: variable in an external label; config: variable elsewhere
durations | config: duration *; config: units in the wrong order; config: interval *
sizes | config: size *; config: body_size_limit *; config: negative size
null entries | config: null job; config: null remote; config: null group
""",
    "8.2": """
a time-out longer than the interval | config: time-out longer than the *; config: global time-out alone
names and their escaping | config: escaping; config: unknown escaping; config: names as they are that are legacy; config: names of a job as they are that are legacy
""",
    "8.3": """
names of jobs | config: job without a name; config: two jobs of one name; config: empty name of a job
protocols: known ones, once, one at least | config: protocol*; config: unknown protocol; config: no protocols*; config: *fallback
""",
    "8.4": """
headers that are taken | config: header *
queues | config: no capacity; config: no shards at all; config: more shards at least than at most; config: back-off at most less than at least; config: requests of nothing
two remotes of one name | config: two remotes of one name
""",
    "8.5": """
one way to prove who asks | config: two ways to prove it*; config: bearer_token*; config: oauth2 and basic_auth*; config: credentials twice*; config: password twice*
proxies | config: proxy*; config: no_proxy*; config: header for a proxy without one*
TLS | config: certificate without a key*; config: key without a certificate*; config: two CAs*; config: unknown TLS version*
basic_auth and authorization on the wire | basic_auth; basic_auth without a password; authorization of a type; authorization with spaces around
""",
}
