# The same by the kernel's client; $CTL/mib says how large the file is. Caches are dropped before each reading.
set -e
mib=$(cat "$CTL/mib")
uncached() { sync; echo 3 >/proc/sys/vm/drop_caches; }
seconds() { awk '{ print $1 }' /proc/uptime; }
rate() { awk -v name="$1" -v what="$2" -v from="$3" -v to="$4" 'BEGIN { printf "%s %.1f\n", name, what / (to - from) }'; }

from=$(seconds)
dd if=/dev/zero of=big bs=1M count="$mib" conv=fsync 2>/dev/null
rate kernel_write_mib_s "$mib" "$from" "$(seconds)"
uncached
from=$(seconds)
dd if=big of=/dev/null bs=1M 2>/dev/null
rate kernel_read_mib_s "$mib" "$from" "$(seconds)"
mkdir small many
from=$(seconds)
for file in $(seq 1000); do echo "$file" >"small/$file"; done
rate kernel_create_s 1000 "$from" "$(seconds)"
cd many
seq 10000 | xargs touch
cd ..
uncached
from=$(seconds)
count=$(ls -f many | wc -l)
rate kernel_list_entries_s "$count" "$from" "$(seconds)"
