"""pack.py FROM KIND: the members of every set one behind the other, xz; sizes and the kernel's sums in index.json.

Of the large members of "ddf" and "imsm" only the blocks of 4,096 bytes that are not zero are kept; "pieces" has (member, offset, length)."""

import json
import lzma
import re
import sys
from pathlib import Path

source, kind = Path(sys.argv[1]), sys.argv[2]
to = Path(__file__).parent / kind
to.mkdir(exist_ok=True)
index = json.loads((to / "index.json").read_text()) if (to / "index.json").exists() else {}
sparse = kind in ("ddf", "imsm")
for first in sorted(source.glob(f"{kind}*.1" if sparse else "*.1")):
    name = first.stem
    data = [p.read_bytes() for p in sorted(source.glob(f"{name}.[0-9]"))]
    fact: dict = {"members": [len(d) for d in data]}
    said = source / f"{name}.{'sums' if kind == 'lvm' else 'sum'}"
    words = said.read_text().split() if said.exists() else []
    if len(words) < 2:
        continue
    if kind == "lvm":
        fact["sums"] = dict(zip(words[1::2], words[::2], strict=True))
        if (gone := source / f"{name}.gone").exists():
            fact["deleted"] = {"gone": gone.read_text().split()[0]}
    elif sparse:
        fact |= {"sums": words[::2], "sizes": [int(w) for w in words[1::2]]}
    else:
        fact |= {"sum": words[0], "size": int(words[1])}
    if sparse:
        fact["pieces"] = pieces = []
        for number, raw in enumerate(data):
            for at in range(0, len(raw), 4096):
                if not any(raw[at : at + 4096]):
                    continue
                if pieces and pieces[-1][0] == number and sum(pieces[-1][1:]) == at:
                    pieces[-1][2] += 4096
                else:
                    pieces.append([number, at, min(4096, len(raw) - at)])
        data = [data[number][at : at + n] for number, at, n in pieces]
        name = name.removeprefix(kind)
    (to / f"{name}.xz").write_bytes(lzma.compress(b"".join(data), preset=9 | lzma.PRESET_EXTREME))
    index[name] = fact
text = json.dumps(index, indent=1, sort_keys=True)
(to / "index.json").write_text(re.sub(r"\[\s+(-?\d+),\s+(\d+),\s+(\d+)\s+\]", r"[\1, \2, \3]", text) + "\n")
