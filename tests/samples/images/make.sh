#!/bin/sh
# Makes the samples with ewfacquire (Debian ewf-tools, libewf 20140813). Run it in this folder with the project on
# PYTHONPATH; media.raw is the content that tests/images/sets.py computes and is not kept.
set -e
python -c "import runpy; open('media.raw', 'wb').write(runpy.run_path('../../images/sets.py')['make_media']())"
for format in encase1 encase6 smart ewfx; do
  ewfacquire -q -u -f $format -c fast -b 16 -d sha1 -C case -E ev1 -e "J. Doe" -D "a disk" -N "n" -t $format media.raw
done
mv ewfx.e01 ewfx.E01
rm media.raw
