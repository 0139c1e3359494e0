# Volume groups on four loop devices each; everything is written by the kernel's device mapper.
C='devices{pv_min_size=512 use_devicesfile=0 filter=["a|/dev/loop|","r|.*|"] issue_discards=0 sysfs_scan=0 multipath_component_detection=0} activation{udev_sync=0 udev_rules=0 monitoring=0 raid_region_size=64 mirror_region_size=64 thin_pool_autoextend_threshold=100} backup{backup=0 archive=0} allocation{wipe_signatures_when_zeroing_new_lvs=0 raid_stripe_all_devices=0 cache_pool_max_chunks=1000000 thin_pool_zero=1} global{use_lvmpolld=0 use_lvmlockd=0 event_activation=0 thin_check_executable="" cache_check_executable=""}'
L() { c=$1; shift; lvm $c --config "$C" "$@" </dev/null; }
pat() { # device, skip in KiB: write the pattern, from another place of it for each volume
  [ -b $1 ] || return; n=$(( $(blockdev --getsize64 $1) / 1024 )); dd if=pattern.bin of=$1 bs=1k skip=$2 count=$n conv=notrunc,fsync 2>/dev/null; }
group() { # name size n
  echo "=== $1"; DEV=; for i in $(seq 1 $3); do truncate -s $2 out/$1.$i; d=$(losetup -f); losetup $d out/$1.$i; DEV="$DEV $d"; done
  L pvcreate -q --metadatasize 60k --dataalignment 4k $DEV; L vgcreate -q -s 64k $1 $DEV; }
finish() { sync; L vgs $1 >/dev/null; L lvs --noheadings -a -o lv_name,segtype,stripes,seg_size_pe,devices,lv_size,lv_attr --units b $1 >> out/$1.lvs
  for v in $(L lvs --noheadings -o lv_name $1); do [ -b /dev/mapper/$1-$v ] && sha256sum /dev/mapper/$1-$v | sed "s|/dev/mapper/$1-||" >> out/$1.sums; done
  dmsetup table | grep ^$1- > out/$1.dm; L vgchange -q -an $1; L vgcfgbackup -q -f out/$1.cfg $1; for d in $DEV; do losetup -d $d; done; }
group simple 1M 3
set -- $DEV
L lvcreate -y -q -Zn -Wn -l 3 -n one simple $1; L lvcreate -y -q -Zn -Wn -l 2 -n two simple $1; L lvextend -q -l +4 simple/one $1 $2
L lvcreate -y -q -Zn -Wn -i 3 -I 4 -l 6 -n striped simple
L lvcreate -y -q -Zn -Wn -l 3 -n gone simple $3; for v in one two striped gone; do dmsetup mknodes; done
pat /dev/mapper/simple-one 0; pat /dev/mapper/simple-two 1024; pat /dev/mapper/simple-striped 2048; pat /dev/mapper/simple-gone 3072; sync
sha256sum /dev/mapper/simple-gone > out/simple.gone; L lvremove -y -q simple/gone
finish simple
for t in raid1 mirror raid0 raid0_meta raid4 raid5_ls raid5_rs raid5_la raid5_ra raid5_n raid6_zr raid6_nr raid6_nc raid6_n_6 raid10; do
 n=4; o="-i 3 -I 4"; case $t in raid1) n=3; o="-m 2";; mirror) n=3; o="-m 1 --mirrorlog core";; raid0*) n=3; o="-i 3 -I 4";; raid6*) n=5; o="-i 3 -I 4";; raid10) n=4; o="-i 2 -m 1 -I 4";; esac
 v=$(echo $t | tr -d _); group $v 640k $n
 L lvcreate -y -q -Zn -Wn --type $t $o -l 3 -n data $v || L lvcreate -y -Zn -Wn --type $t $o -l 4 -n data $v; dmsetup mknodes
 pat /dev/mapper/$v-data 0; for k in 1 2 3 4 5 6 7 8; do L lvs --noheadings -o sync_percent $v | grep -q 100 && break; sleep 1; done; L lvs -o+sync_percent $v
 finish $v
done
group thin 10M 1
L lvcreate -y -q --type thin-pool -l 48 --poolmetadatasize 2M -c 64k -n pool thin; L lvs -a thin
L lvcreate -y -q -V 3M -T thin/pool -n base; dmsetup mknodes; dd if=pattern.bin of=/dev/mapper/thin-base bs=64k count=5 conv=notrunc,fsync; dd if=pattern.bin of=/dev/mapper/thin-base bs=64k seek=40 skip=9 count=2 conv=notrunc,fsync
L lvcreate -y -q -s thin/base -n snap -kn; dmsetup mknodes
dd if=pattern.bin of=/dev/mapper/thin-base bs=64k seek=1 skip=20 count=2 conv=notrunc,fsync
dd if=pattern.bin of=/dev/mapper/thin-snap bs=4k seek=70 skip=900 count=1 conv=notrunc,fsync
finish thin
thin_dump out/none 2>/dev/null
group snap 2M 1
L lvcreate -y -q -Zn -Wn -l 10 -n origin snap; dmsetup mknodes; pat /dev/mapper/snap-origin 0
L lvcreate -y -q -s -c 4k -l 6 -n cow snap/origin; dmsetup mknodes
dd if=pattern.bin of=/dev/mapper/snap-origin bs=4k seek=3 skip=300 count=5 conv=notrunc,fsync; dd if=pattern.bin of=/dev/mapper/snap-origin bs=4k seek=100 skip=400 count=2 conv=notrunc,fsync
dd if=pattern.bin of=/dev/mapper/snap-cow bs=4k seek=50 skip=777 count=3 conv=notrunc,fsync
finish snap
group cache 12M 2
set -- $DEV
L lvcreate -y -q -Zn -Wn -l 8 -n data cache $1; L lvcreate -y -q --type cache-pool -l 8 -c 32k --poolmetadatasize 2M -n cp cache $2; L lvconvert -y -q --type cache --cachepool cache/cp --cachemode writethrough cache/data; dmsetup mknodes; pat /dev/mapper/cache-data 0; dd if=/dev/mapper/cache-data of=/dev/null
finish cache
