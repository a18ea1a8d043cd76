"""Records what Python's json takes and gives back: json-python.jsonl, read by test/base/json-python.test.ts.

Run it with any CPython 3.11 or newer: python3 make-json-vectors.py > json-python.jsonl
Each line: {"case": group, "hex": the bytes sent, "dumps": json.dumps of what json.loads made of them}, or "error" with the exception's
name in place of "dumps". Bytes are decoded as UTF-8 first, as the CGSE registry server does.
"""

import json
import random
import sys

NUMBERS = """
0 -0 0.0 -0.0 1 -1 10 1E5 1e5 1E+5 1e-5 1e05 -1.5E-3 1e400 -1e400 1e-400 1e308 1.7976931348623157e308 1.7976931348623159e308 5e-324 2e-324
4.9406564584124654e-324 0.1 0.10 0.1000000000000000055511151231257827 1.0 100000000000000000000.0 123456789012345678901234567890 9007199254740993
-9007199254740993 1152921504606846977 18446744073709551616 9223372036854775807 9223372036854775808 0.30000000000000004 1e16 1e22 1e23 123e-7
0e0 0E999 -0e1 0.000001 1e-7 2.5 1000000.0 1e21 1e999999999999
01 -01 00 +1 .5 -.5 5. 1.e5 1e 1e+ 1E- 1.5.5 1_000 0x10 0b1 0o7 1L - -- --1 1- e5 1e5.5 1,5 \uff11 \u0661 1\u0661 Inf inf nan
""".split()

WORDS = """
null true false NaN Infinity -Infinity
Null TRUE nul nulll True False None undefined NAN Nan +NaN -NaN +Infinity --Infinity -infinity infinity INFINITY -Inf Infinit Infinity0 NaN0
0NaN 1Infinity 1-Infinity -NaN NaNNaN nullnull NaN,NaN
""".split()

SHAPES = r"""
{} [] { } [ ] {"a":1} {"a":[]} [{}] [[]] [1,2] {"a":{"b":{"c":[1,{"d":null}]}}} "" "a" 5 [NaN,-Infinity,Infinity] {"a":NaN} {"NaN":"Infinity"}
["NaN",NaN] {"a":-Infinity,"b":[NaN,{"c":Infinity}]} {"NaN":NaN,"NaN":1} {"a":1,"a":2} {"a":1,"b":2,"a":3} {"a":NaN,"a":{"b":1}} {"b":1,"a":2,"10":3,"2":4}
{"__proto__":1} {"__proto__":{"x":1}} {"__proto__":NaN} {"constructor":{"prototype":{"x":NaN}}} {"toString":1,"hasOwnProperty":2} {"":1} {"":{"":NaN}}
{"a\u0062":1,"ab":2} {"\u005f_proto__":{"y":NaN}} {"a\\":1} {"\"":2} {"\n":3} {"\\n":4} {"a":"}","b":"]"} {"a":"\\","b":"\""} {"a":"\\\"","b":","}
[ [[ ] } { {"a" {"a": {"a":1 {"a":1, {"a":1,} {,} {"a"} {"a",1} {a:1} {'a':1} ['a'] 'a' [1,] [,1] [,] [1,,2] [1 {1:2} {null:1} {NaN:1} {"a":1}} [1]] {}{} []
[1]x {"a":1}// {"a":1}/**/ /*x*/1 // #1 {"a"::1} {"a":1:2} [1:2] {"a":NaN,} [NaN,] [,NaN] [NaN {"a":NaN {NaN {"a":NaN}} [NaN]] [NaN]x ["NaN"]x [NaN'']
{"a"NaN} {"a":Infinity:1} [NaN:1] {Infinity} "a "a\" " "NaN {"a":"NaN} {"a":NaN,"b} (1) <a/> \ @ $ ~ ` ^ & * % !
""".split()

SPACED = [
    "", " ", "\n", "\t{\r\n}\n ", " [ 1 , 2 ] ", '{ "a" : 1 , "b" : [ ] }', '{"a"\n:\n1}', "[ NaN\t,\r-Infinity ]", "1 2", "1 ,", "- 1", "- Infinity", "-\nInfinity",
    "N aN", "1 e5", "tr ue", '{"a" "b"}', "[1 2]", "[NaN NaN]", "\ufeff{}", "{}\ufeff", "\ufeff", "\ufeff[NaN]", "[NaN]\ufeff", "{} \u00a0", "\u2003{}", "\u2028[]", "[\u00a01]", "[NaN\u00a0]",
    '["\u2028\u2029"]', '["\u00e9\u2603\U0001f600"]', '["\U0001f600", NaN]', '{"\u00e9":"\u2603"}', '["\x7f\x80\x9f"]', '["\ufeff"]', '["\uffff\ufffe"]', '["\U0010ffff"]',
    '{"a": 1}\x00', "\x00", '["a\nb"]', '["a\tb", NaN]', '["a\x00b"]', '{"a\nb": 1}', '{"a\nb": NaN}', '["\\\n"]', '["\\\n", NaN]', "5 \n", '"x" \t', "NaN \n", "\nNaN", "\fNaN", "\x0bNaN", "NaN\f",
]

ESCAPES = r"""
\ud83d\ude00 \ud83d \ude00 \ude00\ud83d \ud83d\ud83d\ude00 \ud83dx \ud83d\u0041 \uD83D\uDE00 \uDBFF\uDFFF \ud800\udbff \u0000 \u001f \u007f \u00e9 \u2603 \uFFFF \ufeff \u00E9
\u \u1 \u12 \u123 \u12g4 \uxxxx \u{41} \u+041 \u-041 \u0x1 \u\u0041 \ud83d\u \ud83d\ude \ud83d\ \x41 \0 \' \a \v \U0001f600 \N{DASH} \\u0041 \\\u0041 \\\\ \" \\\" \/ \b\f\n\r\t
""".split()

BYTES = [
    b"\xff\xfe{\x00}\x00", b"\xfe\xff\x00{\x00}", b"{\x00}\x00", b"\x00{\x00}", b"\xff\xfe\x00\x00{\x00\x00\x00}\x00\x00\x00", b"\xef\xbb\xbf{}", b"\xef\xbb", b"\x80", b"\xc3",
    b'["\xc0\x80"]', b'["\xc0\xaf"]', b'["\xc1\xbf"]', b'["\xe0\x80\xaf"]', b'["\xe0\x9f\xbf"]', b'["\xf0\x80\x80\xaf"]', b'["\xf0\x8f\xbf\xbf"]', b'["\xed\xa0\x80"]', b'["\xed\xbf\xbf"]',
    b'["\xed\xa0\xbd\xed\xb8\x80"]', b'["\xed\x9f\xbf"]', b'["\xee\x80\x80"]', b'["\xf4\x8f\xbf\xbf"]', b'["\xf4\x90\x80\x80"]', b'["\xf5\x80\x80\x80"]', b'["\xf8\x88\x80\x80\x80"]', b'["\xe2\x98"]',
    b'["\xe2\x28\xa1"]', b'["\xc3\x28"]', b'["\xa0\xa1"]', b'["\xe2\x98\x83"]', b'["\xc3\xa9"]', b'["\xe9"]', b'\xc0{}', b'{}\xc0', b'[NaN,"\xff"]', b'{"\xff":1}', b'["\xf0\x9f\x98\x80"]', b'["\xf0\x9f\x98"]',
]


def nested(depth):
    return [
        "[" * depth + "]" * depth,
        '{"a":' * depth + "1" + "}" * depth,
        "[" * depth + "NaN" + "]" * depth,
        '["' + "[" * depth + '"]',
    ]


def mutated(count):
    """Valid documents with a few characters taken out, put in or changed; the same ones at each run."""
    chance = random.Random(20250301)
    seeds = [
        '{"action": "register", "service_info": {"name": "cam", "port": 1, "metadata": {"gain": 1.50, "tags": ["x", NaN]}}, "ttl": 30}',
        '{"a": [1, -2.5e3, true, null, "\\u00e9\\n"], "b": {"c": Infinity, "d": [[], {}, ""]}}',
        '[NaN, {"k": "\\ud83d\\ude00"}, -Infinity, [0, -0, 1e5], "\\\\"]',
    ]
    signs = '{}[]",:\\ \n\t-+.eE0159NaInfinitytrufals\'\x01\u00e9'
    for _ in range(count):
        text = list(chance.choice(seeds))
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text))
            what = chance.randrange(3)
            if what == 0:
                del text[at]
            elif what == 1:
                text.insert(at, chance.choice(signs))
            else:
                text[at] = chance.choice(signs)
        yield "".join(text)


def inputs():
    for number in NUMBERS:
        yield "number", number
        yield "number", f'{{"n":{number}}}'
    for text in WORDS:
        yield "word", text
        yield "word", f'[{text}, NaN]'
    for text in SHAPES:
        yield "shape", text
    for text in SPACED:
        yield "space", text
    for text in ESCAPES:
        yield "escape", f'["{text}"]'
        yield "escape", f'{{"{text}":NaN}}'
    for code in range(0x21):
        yield "control", f"[1{chr(code)}]"
        yield "control", f'["{chr(code)}"]'
        yield "control", f'["{chr(code)}", NaN]'
    for code in range(0x21, 0x7F):
        yield "escape-letter", f'["\\{chr(code)}"]'
    for data in BYTES:
        yield "bytes", data
    for depth in (3, 64, 65, 200, 1200):
        for text in nested(depth):
            yield f"depth-{depth}", text
    for digits in (30, 4300, 4301):
        yield "digits", "[" + "7" * digits + "]"
        yield "digits", "[-" + "7" * digits + ", NaN]"
        yield "digits", "[0." + "7" * digits + "]"
    for text in mutated(260):
        yield "mutated", text


def main():
    for case, data in inputs():
        data = data if isinstance(data, bytes) else data.encode()
        row = {"case": case, "hex": data.hex()}
        try:
            row["dumps"] = json.dumps(json.loads(data.decode()))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is recorded
            row["error"] = type(error).__name__
        sys.stdout.write(json.dumps(row) + "\n")


main()
