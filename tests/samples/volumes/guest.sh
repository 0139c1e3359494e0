#!/bin/bash
# guest: kernel package + static busybox + md/lvm tools
set -e
K=$PWD/k; V=6.1.0-50-amd64; R=root; rm -rf $R; mkdir -p $R/{bin,sbin,dev,proc,sys,tmp,etc,run,lib,lib64,usr/sbin,mnt}
cp /bin/busybox $R/bin/busybox
for t in mdadm mdmon lvm dmsetup thin_check thin_dump thin_restore cache_check cache_dump; do p=$(which $t); cp -L $p $R/usr/sbin/$t; ldd $p | grep -o '/[^ ]*' | while read l; do mkdir -p $R$(dirname $l); cp -nL $l $R$l; done; done
for t in pdata_tools; do cp -L $(which $t) $R/usr/sbin/ 2>/dev/null || true; done
M=lib/modules/$V; mkdir -p $R/$M
for d in drivers/md drivers/block/loop.ko drivers/block/virtio_blk.ko drivers/virtio crypto lib arch/x86/crypto; do mkdir -p $R/$M/kernel/$(dirname $d); cp -r $K/$M/kernel/$d $R/$M/kernel/$(dirname $d)/; done
cp -r $K/$M/kernel/lib $R/$M/kernel/ 2>/dev/null; cp $K/$M/modules.{order,builtin,builtin.modinfo} $R/$M/
depmod -b $R $V
cat > $R/init <<'I'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/sbin
mount -t proc p /proc; mount -t sysfs s /sys; mount -t devtmpfs d /dev; mount -t tmpfs -o size=4g t /tmp; mkdir -p /run/lock /etc/lvm
for m in crc32c_generic virtio_pci virtio_blk loop dm-mod dm-thin-pool dm-snapshot dm-mirror dm-raid dm-cache dm-cache-smq dm-zero linear raid0 raid1 raid10 raid456; do modprobe $m || echo no $m; done
cd /tmp; tar xf /dev/vda; mkdir -p out
sh ./guest.sh > out/log 2>&1; tail -5 out/log
tar cf /dev/vdb out; sync
poweroff -f
I
chmod +x $R/init
(cd $R; find . | cpio -o -H newc --quiet | gzip -1) > initrd.gz
cp $1 guest.sh; tar cf in.tar guest.sh pattern.bin; truncate -s %512 in.tar; rm -f out.raw; truncate -s 3G out.raw
ACC="tcg,thread=multi"
timeout ${T:-300} qemu-system-x86_64 -cpu max -nic none -accel $ACC -m 6144 -nographic -no-reboot -kernel k/boot/vmlinuz-6.1.0-50-amd64 -initrd initrd.gz -append "console=ttyS0 quiet loglevel=3 panic=-1" -drive file=in.tar,format=raw,if=virtio -drive file=out.raw,format=raw,if=virtio </dev/null > serial.log 2>&1
tail -8 serial.log; mkdir -p $2; tar xf out.raw -C $2; ls $2/out | head -100
