"""Shell items: the parts of an item identifier list ([MS-SHLLINK] 2.2). Their contents are not specified by
Microsoft; layouts as in libfwsi's "Windows Shell Item format" (Metz). Offsets count from the item's size field."""

from __future__ import annotations

from forensiclib.formats._dsl import Bytes, Struct, u8, u16, u32, u64

__all__ = [
    "CATEGORIES", "CATEGORY", "CATEGORY_SIGNATURE", "DELEGATE", "EXTENSION", "FILE", "FILE_EXTENSION", "FOLDERS", "ITEM",
    "PROPERTY_VIEW", "PROPERTY_VIEW_SIGNATURES", "URI",
]  # fmt: skip

ITEM = Struct(4, size=u16, type=u8, order=u8)
"""``size`` includes itself; 0 ends the list."""
FILE = Struct(14, size=u16, type=u8, unknown=u8, file_size=u32, modified_date=u16, modified_time=u16, attributes=u16)
"""Types 0x30 to 0x3f and 0xb1: the primary name follows."""
EXTENSION = Struct(8, size=u16, version=u16, signature=u32)
FILE_EXTENSION = Struct(
    18, size=u16, version=u16, signature=u32, created_date=u16, created_time=u16, accessed_date=u16, accessed_time=u16,
    system=u16,
)  # fmt: skip
"""Signature 0xbeef0004, version 3 (XP, 2003), 7 (Vista), 8 (7 to 8.0), 9 (8.1 and later)."""
URI = Struct(22, size=u16, type=u8, flags=u8, data_size=u16, unknown=Bytes(8), time=u64)
CATEGORY = Struct(12, size=u16, type=u8, unknown=u8, signature=u32, category=u32)
CATEGORY_SIGNATURE = 0x39DE2184
CATEGORIES = (
    "All Control Panel Items", "Appearance and Personalization", "Hardware and Sound", "Network and Internet",
    "Sound, Speech and Audio Devices", "System and Security", "Clock, Language and Region", "Ease of Access", "Programs",
    "User Accounts and Family Safety", "Security Center", "Mobile PC",
)  # fmt: skip
PROPERTY_VIEW = Struct(14, size=u16, type=u8, unknown=u8, data_size=u16, signature=u32, store_size=u16, identifier_size=u16)
PROPERTY_VIEW_SIGNATURES = (0x10141981, 0x23A3DFD5, 0x23FEBBEE, 0x3B93AFBB, 0xBEEBEE00)
DELEGATE = "5e591a74-df96-48d3-8d67-1733bcee28ba"
"""Class identifier that stands before the class of the folder which wrote a delegate item."""
FOLDERS = {
    "00020d75-0000-0000-c000-000000000046": "Microsoft Office Outlook",
    "031e4825-7b94-4dc3-b131-e946b44c8dd5": "Libraries",
    "088e3905-0323-4b02-9826-5d99428e115f": "Downloads",
    "1cf1260c-4dd0-4ebb-811f-33c572699fde": "Music",
    "208d2c60-3aea-1069-a2d7-08002b30309d": "Network",
    "20d04fe0-3aea-1069-a2d8-08002b30309d": "My Computer",
    "21ec2020-3aea-1069-a2dd-08002b30309d": "Control Panel",
    "2227a280-3aea-1069-a2de-08002b30309d": "Printers",
    "24ad3ad4-a569-4530-98e1-ab02f9417aa8": "Pictures",
    "26ee0668-a00a-44d7-9371-beb064c98683": "Control Panel",
    "3add1653-eb32-4cb0-bbd7-dfa0abb5acca": "Pictures",
    "450d8fba-ad25-11d0-98a8-0800361b1103": "My Documents",
    "59031a47-3f72-44a7-89c5-5595fe6b30ee": "Users Files",
    "645ff040-5081-101b-9f08-00aa002f954e": "Recycle Bin",
    "679f85cb-0220-4080-b29b-5540cc05aab6": "Quick Access",
    "871c5380-42a0-1069-a2ea-08002b30309d": "Internet Explorer",
    "9343812e-1c37-4a49-a12e-4b2d810d956b": "Search Home",
    "a0953c92-50dc-43bf-be83-3742fed03c9c": "Videos",
    "a8cdff1c-4878-43be-b5fd-f8091c1c60d0": "Documents",
    "b4bfcc3a-db2c-424c-b029-7fe99a87c641": "Desktop",
    "d3162b92-9365-467a-956b-92703aca08af": "Documents",
    "f02c1a0d-be21-4350-88b0-7367fc96ef3c": "Network",
    "f86fa3ab-70d2-4fc7-9c99-fcbf05467f3a": "Videos",
}
"""Names of the shell folders that occur in links, as English Windows shows them."""
