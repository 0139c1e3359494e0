# Arrays on loop devices; the kernel's md driver writes every byte.
mk() { # name size-list mdadm-create-options...
  name=$1; sizes=$2; shift 2; DEV=; n=0
  for s in $sizes; do n=$((n+1)); truncate -s $s out/$name.$n; d=$(losetup -f); losetup $d out/$name.$n; DEV="$DEV $d"; done
  mdadm --create /dev/md0 --quiet --run --force --homehost=none --name=$name --raid-devices=$n "$@" $DEV </dev/null || echo "FAILED $name"
  mdadm --wait /dev/md0; echo 200000 > /proc/sys/dev/raid/speed_limit_min
  [ -b /dev/md0 ] || return; k=$(( $(blockdev --getsize64 /dev/md0) / 1024 )); dd if=pattern.bin of=/dev/md0 bs=1k count=$k conv=notrunc,fsync 2>/dev/null; }
fin() { mdadm --detail --export /dev/md0 > out/$name.detail; sha256sum /dev/md0 | cut -c1-64 > out/$name.sum; blockdev --getsize64 /dev/md0 >> out/$name.sum; mdadm --stop -q /dev/md0 || { sleep 1; mdadm --stop /dev/md0; }
  i=0; for d in $DEV; do i=$((i+1)); mdadm --examine $d > out/$name.$i.examine; losetup -d $d; done; }
O="--data-offset=64 --bitmap=none --chunk=4"
S="192k 192k 192k 192k"
for l in left-symmetric right-symmetric left-asymmetric right-asymmetric; do mk r5$l "$S" -l5 -e1.2 $O --layout=$l; fin; done
mk r4 "$S" -l4 -e1.1 $O; fin
mk r6 "192k 192k 192k 192k 192k" -l6 -e1.0 --bitmap=none --chunk=4; fin
for l in right-symmetric left-asymmetric right-asymmetric ddf-zero-restart ddf-N-restart ddf-N-continue left-symmetric-6 parity-first parity-last; do mk r6$l "$S 192k" -l6 -e1.2 $O --layout=$l; fin; done
mk r1 "192k 192k 192k" -l1 -e1.2 --data-offset=64 --bitmap=none; fin
mk r0 "192k 192k 192k" -l0 -e1.2 --data-offset=64 --chunk=4; fin
mk r0original "256k 160k 192k" -l0 -e1.2 --data-offset=64 --chunk=4 --layout=original; fin
mk r0alternate "256k 160k 192k" -l0 -e1.2 --data-offset=64 --chunk=4 --layout=alternate; fin
mk linear "192k 160k 256k" -l linear -e1.2 --data-offset=64; fin
mk lin090 "192k 160k 256k" -l linear -e0.90 --rounding=4; fin
mk v090r5 "256k 256k 256k" -l5 -e0.90 --bitmap=none --chunk=4; fin
mk v090r1 "256k 256k" -l1 -e0.90 --bitmap=none; fin
mk r10n2 "$S" -l10 -e1.2 $O --layout=n2; fin
mk r10n3 "$S 192k" -l10 -e1.2 $O --layout=n3; fin
mk r10f2 "$S" -l10 -e1.2 $O --layout=f2; fin
mk r10o2 "$S" -l10 -e1.2 $O --layout=o2; fin
mk r10n2x3 "192k 192k 192k" -l10 -e1.2 $O --layout=n2; fin
mk r10f2x3 "192k 192k 192k" -l10 -e1.2 $O --layout=f2; fin
mk r10f3 "$S 192k" -l10 -e1.2 $O --layout=f3; fin
mk r10o3 "$S 192k" -l10 -e1.2 $O --layout=o3; fin
# a stale member: it fell out, the others went on
mk stale "192k 192k 192k" -l1 -e1.2 --data-offset=64 --bitmap=none; set -- $DEV; mdadm -q /dev/md0 --fail $2 --remove $2; dd if=pattern.bin of=/dev/md0 bs=4k seek=1 skip=200 count=9 conv=notrunc,fsync; fin
mk bitmap "192k 192k" -l1 -e1.2 --data-offset=64 --bitmap=internal; fin
