# Files are written while the server is killed and started again, under a soft mount: each write is done or is said not to
# be, and what was done is there afterwards.
failed=0
for round in $(seq 60); do
  head -c 300000 /dev/urandom >/tmp/file
  # With fsync: what is only in this kernel's memory is no file of the server's yet.
  if dd if=/tmp/file of="f$round" bs=64k conv=fsync 2>/tmp/said; then
    echo "$(md5sum </tmp/file | cut -d' ' -f1)  f$round" >>/tmp/sums
  else
    failed=$((failed + 1))
    grep -qE 'Input/output error|timed out' /tmp/said || { cat /tmp/said; exit 1; }
  fi
  sleep 0.3
done
# The server is back for good.
for _ in $(seq 60); do ls -A . >/dev/null 2>&1 && break; sleep 1; done
echo 3 >/proc/sys/vm/drop_caches
md5sum --quiet -c /tmp/sums || exit 1
echo "soft: $(wc -l </tmp/sums) files are the same, $failed were said not to be written"
[ "$failed" -gt 0 ] || { echo "the server was not away for long enough"; exit 1; }
