"""
Writes test/vectors/storm.jsonl: what a real Cortex says while queries run, and what the stock command line prints of it.

    .cache/peers/synapse-2.256.0/bin/python test/interop/record-storm.py > test/vectors/storm.jsonl

One row per query: its text, its options, the messages in order, and the stock print-out with its exit status. The identifiers of runs and the times
are as they were. Integers beyond 2^53 are {"$int": TEXT}.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile

import synapse
import synapse.cortex as s_cortex
import synapse.telepath as s_telepath

QUERIES = [
    ("[inet:fqdn=vertex.link]", {}),
    ("[inet:fqdn=vertex.link +#foo.bar=(2020,2021) +#foo.baz +#open=(2020,?) +#old=(1960,1961)]", {}),
    ("inet:fqdn=vertex.link", {}),
    ("inet:fqdn", {"limit": 1}),
    ("inet:fqdn=vertex.link [+#foo:score=7 +#foo.other:score=3]", {}),
    ("inet:fqdn=vertex.link", {"repr": False}),
    ("inet:fqdn=vertex.link -> inet:fqdn", {}),
    ("[inet:fqdn=a.b]", {"editformat": "count"}),
    ("[inet:dns:a=(vertex.link,1.2.3.4) .seen=(2020,2021)]", {}),
    ("[ps:contact=00000000000000000000000000000001 :name='a, b' :names=('a, b', c, 'd\"e')]", {}),
    ("[it:dev:str='one\\ntwo \\u001b[31mred']", {}),
    ('[it:dev:str="one\\ntwo \\u001b[31mred" it:dev:str="" it:dev:int=5]', {}),
    ("inet:fqdn | count", {}),
    ("$lib.print(hello) $lib.warn(careful)", {}),
    ("$lib.print(before) $lib.exit(bye)", {}),
    ("$lib.exit()", {}),
    ("return((1, $lib.null))", {}),
    ("$lib.csv.emit(a, 'b,c', (null)) $lib.fire(foo, a=1)", {}),
    ("foo.com vertex.link", {"mode": "lookup"}),
    ("|| bad", {}),
    ("inet:fqdn\n  | limit 1 |||\nfoo", {}),
    ("{$x=1", {}),
    ("/* 漢漢 */ $lib.raise(Refused, 'not now', why=tired)", {}),
    ("function f() {\n  $lib.raise(Deep, inside)\n}\n$f()", {}),
    ("inet:fqdn=vertex.link | nosuch", {}),
    ("inet:fqdn=vertex.link [:nosuch=1]", {}),
    ("[inet:ipv4=nonsense]", {}),
    ("storm.exec 'inet:fqdn |||'", {}),
    ("inet:fqdn", {"vars": 5}),
]


def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, int) and abs(value) >= 2**53:
        return {"$int": str(value)}
    return value


def stock(url, home, text, opts):
    path = os.path.join(home, "opts.json")
    with open(path, "w") as file:
        json.dump({"repr": True, **opts}, file)
    env = {**os.environ, "HOME": home, "SYN_DIR": os.path.join(home, ".syn"), "SYN_LOG_LEVEL": "CRITICAL"}
    args = [sys.executable, "-m", "synapse.tools.storm", "--optsfile", path, url, text]
    done = subprocess.run(args, env=env, capture_output=True, text=True)
    return {"stdout": done.stdout, "status": done.returncode}


async def main():
    print(json.dumps({"about": f"synapse {synapse.verstring}; made by test/interop/record-storm.py"}))
    with tempfile.TemporaryDirectory() as home:
        path = os.path.join(home, "cell")
        conf = {"health:sysctl:checks": False, "https:port": None, "dmon:listen": "tcp://127.0.0.1:0"}
        async with await s_cortex.Cortex.anit(path, conf=conf) as core:
            url = f"cell://{path}"
            async with await s_telepath.openurl(url) as proxy:
                await proxy.callStorm("$lib.model.ext.addTagProp(score, (int, ({})), ({}))")
                for text, opts in QUERIES:
                    opts = {"repr": True, **opts}
                    messages = [mesg async for mesg in proxy.storm(text, opts=opts)]
                    printed = await asyncio.to_thread(stock, url, home, text, opts)
                    row = {"query": text, "opts": opts, "messages": plain(messages), "stock": printed}
                    print(json.dumps(row, ensure_ascii=False))


# Synapse starts workers that import this file.
if __name__ == "__main__":
    asyncio.run(main())
