"""Writes yaml-pyyaml.jsonl: what PyYAML's safe loader makes of configuration text. Run with PyYAML 6.0.3: python make-yaml-vectors.py

Each line: {"yaml": text, "node": [type, value]} or {"yaml": text, "error": true}. Numbers are text, so that nothing is lost.
"""
import datetime
import json
import math
import pathlib

import yaml

WORDS = """yes Yes YES yEs no No NO nO y Y n N true True TRUE tRue false False FALSE on On ON oN off Off OFF oFF
null Null NULL nULL ~ ~~ None none nil undefined void = << <<< . .. ... - -- --- + ++ ? : , ,a [] {} "" ''
0 00 000 0_ 0__ 0_7 1 -1 +1 -0 +0 1_000 1__000 1_ _1 _ __ 1_000_ -1_000 +1_000 12345678901234567890 9007199254740991 9007199254740992
-9007199254740993 123456789012345678901234567890123456789 012 -012 +012 0777 08 09 018 0o14 0O14 0o 00012 0_12 01_2 0x 0x0 0xff 0xFF 0Xff -0xff +0xFF
0x_ 0x_f 0xf_f 0xg 0b 0b0 0b1010 0B1 -0b11 +0b11 0b_ 0b1_0 0b2 0x1.8 1e3 1E3 1e+3 1e-3 1.e3 1.e+3 1.0e3 1.0e+3 1.0E+3 1.0e-3 -1.0e+3 +1.5e-10
1.e 1.0e 1.0e+ 1. 1.. .1 .5e+3 .5e3 -.5 +.5 -.5e+3 ._ ._1 .1_ 1._ 1._5 1.5_0 1_0.5 1_0._5 1.5.5 0.0 -0.0 00.5 08.5 1,5 1.7976931348623157e+308 1.0e+999 -1.0e+999 5.0e-324 1.0e-999
0.1 0.30000000000000004 123456789.123456789 .inf .Inf .INF .iNF -.inf +.inf +.Inf -.INF inf Infinity .nan .NaN .NAN .Nan +.nan -.nan nan NaN
1:30 1:5 1:60 1:59 1:59:59 1:60:00 01:30 0:30 00:30 -1:30 +1:30 1:30: :30 1::30 1:30:5 190:20:30 1_0:30 1:3_0 24:00 60:00 1:030 1:30.5 1:30. 1:30.5_0 -1:30.5 +1:30.25 0:30.5 00:30.5 08:30.5
190:20:30.15 1:59:59.999 1:60.5 1:5.5 1:30.5e+3 127.0.0.1 10.0.0.1 0.0.0.0 1.2.3 ::1 fe80::1 127.0.0.1:5556 tcp://127.0.0.1:5556 12:34:56:78 12:34:56:78:59
2024-01-01 2024-1-1 2024-02-29 2023-02-29 2024-02-30 2024-13-01 2024-00-10 2024-01-00 0000-01-01 0001-01-01 9999-12-31 24-01-01 2024-01-01- 2024-01 20240101 2024-01-32
2024-01-01T00:00:00 2024-01-01t00:00:00 2024-01-01T00:00:00Z 2024-01-01T00:00:00z 2024-1-1T0:00:00 2024-01-01T1:02:03.4 2024-01-01T01:02:03.123456789 2024-01-01T01:02:03. 2024-01-01T01:02:03.000
2024-01-01T24:00:00 2024-01-01T23:60:00 2024-01-01T23:59:60 2024-01-01T23:59:59+01 2024-01-01T23:59:59-1 2024-01-01T23:59:59+01:30 2024-01-01T23:59:59-01:30 2024-01-01T23:59:59+0130 2024-01-01T23:59:59+1:3
2024-01-01T23:59:59+24:00 2024-01-01T23:59:59-23:59 2024-01-01T23:59:59+23:60 2024-01-01T23:59:59+00:00 2024-01-01T23:59:59-00:00 2024-01-01T23:59:59-00:30 2024-01-01T23:59 2024-01-01T23 2024-02-30T00:00:00 2001-12-14t21:59:43.10-05:00
10s 400ms 1h 30m 7d 1.5s 24h never random round-robin least-recent sqlite 5556 65535 0.0.0.0/0 a-b a_b a.b a:b a::b :a a: -a ?a !a &a *a %a @a `a |a >a #a a#b a%b a@b a!b a&b a*b
prod.example.net 00.aha aha://root@aha... ssl://aha.example.net:27492?hostname=a&ca=b root@prod.example.net /srv/backups C:\\x $HOME ${HOME} 100% 5% \\n \\x41 \\
'a' 'it''s' 'yes' '012' '1:30' '' "yes" "012" "a\\nb" "\\x41" "\\u00e9" "\\U0001F600" "\\e" "\\0" "\\N" "\\_" "\\L" "\\P" "\\/" "\\q" "a'b" 'a"b' "unterminated 'unterminated
é ü 日本語 😀 ñandú !!str !!str! !!int !foo !!binary !!foo !<tag:yaml.org,2002:str>""".split()

TEXTS = """
2001-12-14 21:59:43
2001-12-14 21:59:43.10 -5
2001-12-14  21:59:43 Z
2001-12-14 21:59:43 +01:00
2001-12-14\t21:59:43
2001-12-14 21:59
a b
a  b
yes no
1 2
- a
-  a
- - a
- a: b
? a
? a : b
a # comment
a #comment
a#b
# only a comment
'a # b'
"a # b"
a: b
a: 012
a: yes
a:
a: ~
a: ''
a : b
a: b: c
a: 'b': c
a: b:c
a: [b, c]
a: {b: c}
a: {b: 012, c: yes}
a: {b}
a: {b, c: d}
a: {b: }
a: [b: c]
a: [b: c, d]
a: [b c, d]
a: [,]
a: [a,]
a: [a,,b]
a: []
a: {}
a: [[]]
a: [1:30, 012, yes, 1e3]
a: [a#b, c]
a: "b" c
a: "b" # c
a: 'b'# c
a: -
a: - b
a: -b
a: *b
a: &b c
a: &b
a: @b
a: `b`
a: %b
a: !b c
a: !!str 123
a: !!str yes
a: !!int 12
a: !!int "12"
a: !!int '0x1f'
a: !!int abc
a: !!float 1.5
a: !!float 1e3
a: !!float 1
a: !!float "2.5"
a: !!float abc
a: !!bool yes
a: !!bool "no"
a: !!bool maybe
a: !!null ''
a: !!null x
a: !!seq [a]
a: !!map {a: b}
a: !!map [a]
a: !!seq {a: b}
a: ! 12
a: !!binary aGk=
a: !!set {a, b}
a: !!omap [a: b]
a: !!python/none x
a: !!timestamp 2001-01-01
a: <<
<<: {a: b}
a: {<<: {b: c}}
"<<": b
'a b': c
"a\\tb": c
a b: c
yes: 1
1: 2
~: 1
1.5: x
2001-01-01: x
"yes": 1
a: b, c: d
a: |
a: >
a: a\\nb
a: 1_000
a: "\\ud83d\\ude00"
{a: b}
{a: b
[a, b]
[a, b
a: [b
a: {b: c
a: ]
a: }
]
}
a: b ]
%YAML 1.1
%foo
--- a
--- a: b
a: b ...
""".splitlines()[1:]

STRUCTURES = [
    "",
    "\n",
    "\n\n# nothing\n",
    "---\n",
    "---\n...\n",
    "---\na: b\n",
    "a: b\n...\n",
    "a: b\n---\nc: d\n",
    "%YAML 1.1\n---\na: yes\n",
    "%YAML 1.2\n---\na: yes\n",
    "a: b\nc: d\n",
    "a: b\r\nc: d\r\n",
    "a: b\nc: 012\nd: [1, 2]\ne: {f: g}\n",
    "a:\n  b: c\n  d: e\n",
    "a:\n    b: c\n    d: e\nf: g\n",
    "a:\n  b: c\n   d: e\n",
    "a:\n  b: c\n d: e\n",
    " a: b\n c: d\n",
    " a: b\nc: d\n",
    "a:\n- b\n- c\n",
    "a:\n  - b\n  - c\n",
    "a:\n- b: 1\n  c: 2\n- d: 3\n",
    "- a\n- b: c\n  d: e\n- - f\n  - g\n",
    "-\n  a: b\n-\n  - c\n",
    "a:\n  - \n  - ~\n  - null\n",
    "a:\n\tb: c\n",
    "a: b\t# tab\n",
    "a:\tb\n",
    "a: b\n\n\nc: d\n",
    "a: one\n  two\n  three\n",
    "a: one\n\n  two\n",
    "a: 1\n  2\n",
    "a: 'one\n  two'\n",
    "a: 'one\n\n  two'\n",
    'a: "one\n  two"\n',
    'a: "one\\\n  two"\n',
    'a: "one \n\n two"\n',
    "a: |\n  one\n  two\n",
    "a: |-\n  one\n  two\n",
    "a: |+\n  one\n  two\n\n",
    "a: |\n  one\n   two\n\n  three\nb: c\n",
    "a: |2\n   one\n  two\n",
    "a: |1\n one\n",
    "a: >\n  one\n  two\n",
    "a: >\n  one\n\n  two\n",
    "a: >-\n  one\n  two\n",
    "a: >\n  one\n    two\n  three\n",
    "a: |\n  # no comment\n  012\n",
    "a: |\n  012\n",
    "a: >-\n  yes\n",
    "a: [1,\n  2,\n  3]\n",
    "a: [1,\n  2,\n  3\n]\n",
    "a: [\n  1, # one\n  2\n]\nb: c\n",
    "a: {\n  b: c,\n  d: e\n}\n",
    "a: {b: c,\n d: e}\n",
    "a:\n  [b, c]\n",
    "a:\n  'b'\n",
    "a:\n  b\n",
    "a:\nb:\n",
    "a:\n# comment\n  b: c # more\n# end\n",
    "# first\na: b # second\n# third\n",
    "? a\n: b\n",
    "? a\n? b\n",
    "? [a, b]\n: c\n",
    "[a, b]: c\n",
    "{a: b}: c\n",
    "a: 'b'\n'c': d\n\"e\": f\n",
    "a\n",
    "a\nb\n",
    "a: b\nc\n",
    "a: b\n- c\n",
    "- a\nb: c\n",
    "a: &x b\nc: *x\n",
    "a: &x {b: c}\nd:\n  <<: *x\n",
    "a: *nope\n",
    "zmq:req:port: 4242\nzmq:pub:port: null\nlease:grace: 1:30\nbind: 0.0.0.0\n",
    "aha:network: prod.example.net\ndns:name: aha.prod.example.net\nprovision:listen: tcp://0.0.0.0:27272\n",
    "aha:registry:\n  - ssl://a.example.net?certname=root@net\n  - ssl://b.example.net\n",
    "https:headers:\n  X-Frame-Options: deny\n  Cache-Control: no\n",
    "inaugural:\n  roles:\n    - name: readers\n      rules:\n        - [true, [node, get]]\n        - [false, [node, add]]\n  users:\n    - name: visi\n      admin: off\n      email: visi@example.net\n",
    "auth:passwd:policy: {complexity: {length: 12, sequences: 3, 'upper:count': 2, 'special:valid': null}}\n",
    "a: \u00e9\nb: \U0001F600\n\u65e5: x\n",
    "\ufeffa: b\n",
    "a: \x07\n",
    "a: \x7f\n",
    "a: b\x85c: d\n",
    "a: 'x\u2028y'\n",
    "a: \x00\n",
    "a: b\rc: d\n",
    "a: !!str\n  123\n",
    "a: \"b\nc: d\n",
    "a: 'b\nc: d\n",
    "a: [b\nc: d\n",
    "a: b\n  c: d\n",
    "a:\n  b\nc:\n  - d\n  e: f\n",
    "a: b\n\t\nc: d\n",
    "a: b\n   \nc: d\n",
    "---\n---\n",
    "...\n",
    "a: ---\n",
    "a: -1\nb: - 1\n",
    "- 1\n-2\n",
    "-1\n",
]


def describe(value):
    if value is None:
        return ["null", None]
    if isinstance(value, bool):
        return ["bool", value]
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, float):
        return ["float", "nan" if math.isnan(value) else repr(value)]
    if isinstance(value, datetime.datetime):
        return ["datetime", value.isoformat()]
    if isinstance(value, datetime.date):
        return ["date", value.isoformat()]
    if isinstance(value, str):
        return ["str", value]
    if isinstance(value, list):
        return ["seq", [describe(item) for item in value]]
    if isinstance(value, dict):
        return ["map", [[describe(key), describe(item)] for key, item in value.items()]]
    return ["other", type(value).__name__]


def vector(text):
    try:
        return {"yaml": text, "node": describe(yaml.safe_load(text))}
    except Exception:
        return {"yaml": text, "error": True}


seen = dict.fromkeys(WORDS + [f"a: {word}" for word in WORDS] + [f"[{word}]" for word in WORDS] + TEXTS + STRUCTURES)
with open(pathlib.Path(__file__).with_name("yaml-pyyaml.jsonl"), "w", encoding="utf-8") as out:
    for text in seen:
        out.write(json.dumps(vector(text)) + "\n")
