# Files are written, moved and linked while the server is killed and started again, under a hard mount.
for round in $(seq 60); do
  head -c 300000 /dev/urandom >/tmp/file
  cp /tmp/file "f$round" && mkdir "d$round" && mv "f$round" "d$round/" && ln "d$round/f$round" "f$round" || exit 1
  rm "d$round/f$round" || exit 1
  echo "$(md5sum </tmp/file | cut -d' ' -f1)  f$round" >>/tmp/sums
  sleep 0.3
done
echo 3 >/proc/sys/vm/drop_caches
md5sum --quiet -c /tmp/sums && echo "killed: $(wc -l </tmp/sums) files are the same"
