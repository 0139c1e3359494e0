"""pack.py FROM KIND: the members of every set one behind the other, xz; sizes and the kernel's sums in index.json."""

import glob
import json
import lzma
import os
import sys

src, kind = sys.argv[1:3]
only = sys.argv[3:]
dst = f"{kind}"
ix = json.load(open(dst + "/index.json")) if os.path.exists(dst + "/index.json") else {}
for name in sorted({os.path.basename(f)[:-2] for f in glob.glob(src + "/*.1")}):
    if only and name not in only:
        continue
    files = sorted(glob.glob(f"{src}/{name}.[0-9]"))
    data = [open(f, "rb").read() for f in files]
    e = {"members": [len(d) for d in data]}
    if kind == "lvm":
        if not os.path.exists(f"{src}/{name}.sums"):
            continue
        e["sums"] = {l.split()[1]: l.split()[0] for l in open(f"{src}/{name}.sums")}
        if name == "simple":
            e["deleted"] = {"gone": open(src + "/simple.gone").read().split()[0]}
    else:
        t = open(f"{src}/{name}.sum").read().split() if os.path.exists(f"{src}/{name}.sum") else []
        if len(t) < 2:
            print("no sum", name)
            continue
        e["sum"], e["size"] = t[0], int(t[1])
    raw = lzma.compress(b"".join(data), preset=9 | lzma.PRESET_EXTREME)
    if len(raw) > 65536:
        print("too large", name, len(raw))
        continue
    open(f"{dst}/{name}.xz", "wb").write(raw)
    ix[name] = e
open(dst + "/index.json", "w").write(json.dumps(ix, indent=1, sort_keys=True) + "\n")
