"""pack.py FROM KIND: the members of every set one behind the other, xz; sizes and the kernel's sums in index.json."""

import json
import lzma
import sys
from pathlib import Path

source, kind = Path(sys.argv[1]), sys.argv[2]
to = Path(__file__).parent / kind
index = json.loads((to / "index.json").read_text()) if (to / "index.json").exists() else {}
for first in sorted(source.glob("*.1")):
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
    else:
        fact |= {"sum": words[0], "size": int(words[1])}
    (to / f"{name}.xz").write_bytes(lzma.compress(b"".join(data), preset=9 | lzma.PRESET_EXTREME))
    index[name] = fact
(to / "index.json").write_text(json.dumps(index, indent=1, sort_keys=True) + "\n")
