"""Shell links ([MS-SHLLINK], revision 9.0)."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, i32, u16, u32, u64

__all__ = [
    "ANSI", "BLOCK", "CLASS", "CONSOLE", "DRIVES", "FLAGS", "HEADER", "KNOWN_FOLDER", "LINK_INFO", "LINK_INFO_UNICODE",
    "NETWORK", "NETWORK_UNICODE", "SHOW", "SPECIAL_FOLDER", "STRINGS", "TEXT_BLOCKS", "TRACKER", "VOLUME",
]  # fmt: skip

HEADER = Struct(
    76, size=u32, class_id=Bytes(16), flags=u32, attributes=u32, created=u64, accessed=u64, modified=u64, file_size=u32,
    icon_index=i32, show=u32, hotkey=u16, reserved1=u16, reserved2=u32, reserved3=u32,
)  # fmt: skip
"""2.1. ``file_size`` is the low 32 bits of it."""
CLASS = "00021401-0000-0000-c000-000000000046"
FLAGS = {"idlist": 0x1, "info": 0x2, "unicode": 0x80, "no_info": 0x100}
"""2.1.1: those that decide the layout."""
SHOW = {1: "normal", 3: "maximized", 7: "minimized"}
STRINGS = (("name", 0x4), ("relative_path", 0x8), ("working_directory", 0x10), ("arguments", 0x20), ("icon_location", 0x40))
"""2.4: in this order, each present when its flag is set."""

LINK_INFO = Struct(28, size=u32, header_size=u32, flags=u32, volume_at=u32, path_at=u32, network_at=u32, suffix_at=u32)
LINK_INFO_UNICODE = Struct(8, path_at=u32, suffix_at=u32)
"""2.3, behind LINK_INFO where ``header_size`` is at least 36."""
VOLUME = Struct(20, size=u32, type=u32, serial=u32, label_at=u32, label_unicode_at=u32)
"""2.3.1. ``label_unicode_at`` is one only where ``label_at`` is 20; else the label may begin there."""
DRIVES = ("unknown", "no root directory", "removable", "fixed", "remote", "cd-rom", "ram disk")
NETWORK = Struct(20, size=u32, flags=u32, name_at=u32, device_at=u32, provider=u32)
NETWORK_UNICODE = Struct(8, name_at=u32, device_at=u32)
"""2.3.2, behind NETWORK where ``name_at`` is more than 20."""

BLOCK = Struct(8, size=u32, signature=u32)
TEXT_BLOCKS = {0xA0000001: "environment", 0xA0000006: "darwin", 0xA0000007: "icon_environment"}
"""2.5.4, 2.5.3, 2.5.5: ANSI bytes of text, then 2 * ANSI bytes of the same in UTF-16."""
ANSI = 260
TRACKER = Struct(
    88, length=u32, version=u32, machine=Bytes(16), volume=Bytes(16), file=Bytes(16), birth_volume=Bytes(16), birth_file=Bytes(16)
)
"""2.5.10, behind BLOCK."""
SPECIAL_FOLDER = Struct(8, folder=u32, offset=u32)
KNOWN_FOLDER = Struct(20, folder=Bytes(16), offset=u32)
CONSOLE = Struct(
    196, fill=u16, popup_fill=u16, buffer_width=u16, buffer_height=u16, window_width=u16, window_height=u16, window_x=u16,
    window_y=u16, unused1=u32, unused2=u32, font_size=u32, font_family=u32, font_weight=u32, face=Bytes(64), cursor_size=u32,
    full_screen=u32, quick_edit=u32, insert_mode=u32, auto_position=u32, history_size=u32, history_count=u32, history_no_dup=u32,
    colors=Bytes(64),
)  # fmt: skip
"""2.5.1, behind BLOCK."""
