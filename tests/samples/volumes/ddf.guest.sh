# Containers of DDF and of Intel's metadata on loop devices; mdadm and mdmon write the metadata, the kernel's md driver the data.
mkdir -p /run/mdadm /sbin; ln -s /usr/sbin/mdmon /sbin/mdmon 2>/dev/null; ln -s /usr/sbin/mdadm /sbin/mdadm 2>/dev/null
echo "PROGRAM /bin/true" > /etc/mdadm.conf
export IMSM_NO_PLATFORM=1 IMSM_DEVNAME_AS_SERIAL=1
box() { # name format size count: a container on that many disks
  name=$1; DEV=; n=0; V=126
  while [ $n -lt $4 ]; do n=$((n+1)); truncate -s $3 out/$name.$n; d=$(losetup -f); losetup $d out/$name.$n; DEV="$DEV $d"; done
  mdadm --create /dev/md127 --run -e $2 --raid-devices=$n $DEV </dev/null || echo "FAILED $name"; }
vol() { # mdadm-create-options: a volume in it, filled with the pattern from another place each
  mdadm --create /dev/md$V --run --assume-clean "$@" /dev/md127 </dev/null || { echo "FAILED $name $*"; return; }
  [ -b /dev/md$V ] || { echo "no md$V"; return; }
  k=$(( $(blockdev --getsize64 /dev/md$V) / 1024 )); dd if=pattern.bin of=/dev/md$V bs=1k count=$k skip=$(( (126 - V) * 100 )) conv=notrunc,fsync 2>&1 | tail -1
  V=$((V-1)); }
end() { sync; i=126; while [ $i -gt $V ]; do sha256sum /dev/md$i | cut -c1-64 >> out/$name.sum; blockdev --getsize64 /dev/md$i >> out/$name.sum; cat /sys/block/md$i/md/level >> out/$name.levels; i=$((i-1)); done
  cat /proc/mdstat; mdadm --detail /dev/md126 > out/$name.detail
  i=126; while [ $i -gt $V ]; do mdadm --wait-clean /dev/md$i; mdadm --stop /dev/md$i || { sleep 1; mdadm --stop /dev/md$i; }; i=$((i-1)); done
  sleep 1; mdadm --stop /dev/md127 || { sleep 1; mdadm --stop /dev/md127; }
  i=0; for d in $DEV; do i=$((i+1)); mdadm --examine $d > out/$name.$i.examine 2>&1; losetup -d $d; done; }
D="ddf 36M"; C="--chunk=8 --size=128"
box ddfr0 $D 3; vol -l0 -n3 $C; end
box ddfr1 $D 2; vol -l1 -n2 --size=128; end
for l in left-symmetric left-asymmetric right-asymmetric; do box ddfr5$l $D 4; vol -l5 -n4 $C --layout=$l; end; done
for l in ddf-zero-restart ddf-N-restart ddf-N-continue; do box ddfr6$l $D 5; vol -l6 -n5 $C --layout=$l; end; done
box ddfr10 $D 4; vol -l10 -n4 $C --layout=n2; end
box ddftwo $D 3; vol -l5 -n3 $C --name=five; vol -l0 -n3 $C --name=zero; end
# a disk falls out and the others go on
box ddfstale $D 3; vol -l5 -n3 $C; set -- $DEV; mdadm /dev/md126 --fail $2; sleep 2; dd if=pattern.bin of=/dev/md126 bs=4k seek=1 skip=200 count=9 conv=notrunc,fsync 2>/dev/null; sleep 1; end
I="imsm 12M"; S="--size=1024"
box imsmr0 $I 2; vol -l0 -n2 --chunk=16 $S; end
box imsmr1 $I 2; vol -l1 -n2 $S; end
box imsmr5 $I 3; vol -l5 -n3 --chunk=16 $S; end
box imsmr10 $I 4; vol -l10 -n4 --chunk=16 $S; end
box imsmtwo $I 2; vol -l1 -n2 $S --name=one; vol -l0 -n2 --chunk=32 $S --name=nought; end
box imsmstale $I 2; vol -l1 -n2 $S; set -- $DEV; mdadm /dev/md126 --fail $2; sleep 2; dd if=pattern.bin of=/dev/md126 bs=4k seek=1 skip=200 count=9 conv=notrunc,fsync 2>/dev/null; sleep 1; end
ls -la out
