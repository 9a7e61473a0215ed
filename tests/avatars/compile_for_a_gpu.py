"""Run by test_gpavatar_gpu.py: the interpreter accepts programs that the compiler refuses."""

from __future__ import annotations

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from backend.avatars.gpavatar.nearest_gpu import BLOCK, TILE, _search

arguments = {name: "*fp32" for name in ("queries", "points", "boxes", "distances")}
arguments |= {"indices": "*i32", "count": "i32", "total": "i32", "box_count": "i32"}
sizes = {"TILE": TILE, "BLOCK": BLOCK, "NEIGHBOURS": 8, "BOXES": 128}
source = ASTSource(fn=_search, signature=arguments | dict.fromkeys(sizes, "constexpr"), constexprs=sizes)
assert triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]
print("compiled")
