#!/bin/sh
# Recipe of hivex.hiv: an empty root made after the specification (seed.py), filled by hivexsh (hivex 1.3).
set -e
cd "$(dirname "$0")"
python3 seed.py seed.hiv
hivexsh -w seed.hiv <<'END'
add Software
cd Software
add Microsoft
cd Microsoft
add Windows
cd Windows
add CurrentVersion
cd CurrentVersion
add Run
cd Run
setval 2
Updater
string:C:\Program Files\Updater\updater.exe -q
Small
hex:3:ab
cd \Software
add Types
cd Types
setval 6
@
string:default
expand
expandstring:%SystemRoot%\x
number
dword:0x12345678
quad
hex:0xb:01,02,03,04,05,06,07,08
list
hex:7:61,00,00,00,62,00,63,00,00,00,00,00
odd
hex:0x123456:ff
commit hivex.hiv
END
rm seed.hiv
