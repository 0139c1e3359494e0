#!/bin/sh
# Writes fat12.img.gz, ext2.img.gz, ext4.img.gz and exfat.img.gz into the current folder.
set -e
export MTOOLS_SKIP_CHECK=1
tmp=$(mktemp -d)
mkdir -p "$tmp/root/dir"
printf 'A%.0s' $(seq 100) > "$tmp/root/a.txt"
printf 'B%.0s' $(seq 5000) > "$tmp/root/dir/b.bin"
printf 'G%.0s' $(seq 3000) > "$tmp/root/dir/gone.bin"

truncate -s 128K fat12.img
mkfs.vfat -F 12 -n SAMPLE -i 12345678 fat12.img >/dev/null
mmd -i fat12.img ::dir
mcopy -i fat12.img "$tmp/root/a.txt" ::a.txt
mcopy -i fat12.img "$tmp/root/dir/b.bin" "::dir/b with a long name.bin"
mcopy -i fat12.img "$tmp/root/dir/gone.bin" ::dir/gone.bin
mdel -i fat12.img ::dir/gone.bin

truncate -s 256K ext2.img
mke2fs -q -t ext2 -b 1024 -N 32 -L SAMPLE -d "$tmp/root" ext2.img
debugfs -w -R "rm dir/gone.bin" ext2.img 2>/dev/null

truncate -s 4M ext4.img
mke2fs -q -t ext4 -b 1024 -N 64 -J size=1 -O ^metadata_csum -L SAMPLE -d "$tmp/root" ext4.img
table=$(dumpe2fs ext4.img 2>/dev/null | sed -n 's/.*Inode table at \([0-9]*\)-.*/\1/p' | head -1)
for i in 0 1 2 3 4 5 6 7; do dd if=ext4.img of="$tmp/blocks" bs=1024 skip=$((table + i)) count=1 oflag=append conv=notrunc status=none; done
printf 'jo -c\njw -b %s %s\njc\n' "$(seq -s, "$table" $((table + 7)))" "$tmp/blocks" > "$tmp/journal"
debugfs -w -f "$tmp/journal" ext4.img >/dev/null 2>&1
debugfs -w -R "rm dir/gone.bin" ext4.img 2>/dev/null

truncate -s 2M exfat.img
mkfs.exfat -L SAMPLE -c 4K -b 64K exfat.img >/dev/null
gzip -9nf fat12.img ext2.img ext4.img exfat.img
rm -r "$tmp"
