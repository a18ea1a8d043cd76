"""Makes lmdb.json: a file of each kind that LMDB writes, and what LMDB itself reads in it.

    make-lmdb-vectors.py > lmdb.json        (Python with lmdb, as Synapse brings it)
"""

import base64
import gzip
import hashlib
import json
import sys
import tempfile

import lmdb

KINDS = {
    "few": {},
    "many": {},
    "big": {},
    "empty": {},
    "gone": {},
    "dup-few": {"dupsort": True},
    "dup-many": {"dupsort": True},
    "fixed-few": {"dupsort": True, "dupfixed": True},
    "fixed-many": {"dupsort": True, "dupfixed": True},
}


def items(name):
    if name == "few":
        return [(b"a", b"1"), (b"b", b""), (b"\xff\x00", b"3")]
    if name == "many":
        return [(i.to_bytes(8, "big"), b"v%d" % i * 7) for i in range(700)]
    if name == "big":
        return [(b"k%d" % size, b"x" * size) for size in (100, 2000, 4080, 4081, 30000)]
    if name == "gone":
        return [(b"k%d" % i, b"v" * 50) for i in range(300)]
    count = 5 if name.endswith("few") else 900
    return [(key, i.to_bytes(4, "big")) for key in (b"one", b"two") for i in range(count)]


def write(path, **opts):
    env = lmdb.open(path, map_size=2**25, max_dbs=20, **opts)
    dbs = {name: env.open_db(name.encode(), **kinds) for name, kinds in KINDS.items()}
    for name, db in dbs.items():
        with env.begin(write=True, db=db) as txn:
            for key, value in items(name):
                txn.put(key, value)
    with env.begin(write=True) as txn:
        for key, _ in items("gone"):
            txn.delete(key, db=dbs["gone"])
        txn.delete(b"a", db=dbs["few"])
    return env


def read(env):
    found = {}
    with env.begin() as txn:
        for key, _ in txn.cursor():
            db = env.open_db(key, txn=txn, create=False)
            digest = hashlib.sha256()
            last = None
            for k, v in txn.cursor(db):
                digest.update(k + v)
                last = k.hex()
            found[key.decode()] = {"entries": txn.stat(db)["entries"], "lastKey": last, "sha256": digest.hexdigest()}
    return found


def vector(name, **opts):
    with tempfile.TemporaryDirectory() as path:
        with write(path, **opts) as env:
            info, found = env.info(), read(env)
        # Without writemap, pages at the end that were freed again are never written.
        used = (info["last_pgno"] + 1) * 4096
        with open(path + "/data.mdb", "rb") as file:
            data = file.read(used)
    packed = base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()
    return {"name": name, "usedBytes": len(data), "txnid": info["last_txnid"], "databases": found, "gzip": packed}


json.dump([vector("usual"), vector("writemap", writemap=True)], sys.stdout, indent=1)
print()
