# A tree of more than 5,000 files is unpacked and compared; then eight writers at once, whose files are read back.
set -e
mkdir /tmp/original
for folder in $(seq 60); do
  mkdir "/tmp/original/$folder"
  for file in $(seq 90); do echo "$folder $file $RANDOM" >"/tmp/original/$folder/file-$file"; done
  ln -s "../$folder/file-1" "/tmp/original/$folder/link"
done
tar cf /tmp/tree.tar -C /tmp original
tar xf /tmp/tree.tar
echo 3 >/proc/sys/vm/drop_caches
diff -r /tmp/original original
echo "tree: $(find original -type f | wc -l) files are the same"
for writer in 1 2 3 4 5 6 7 8; do
  (
    for file in $(seq 40); do head -c $((writer * 1000 + file * 37)) /dev/urandom >"w$writer.$file"; done
    head -c 6000000 /dev/urandom >"w$writer.big"
    md5sum "w$writer".[0-9]* "w$writer.big" >"/tmp/w$writer.sums"
  ) &
done
wait
echo 3 >/proc/sys/vm/drop_caches
cat /tmp/w*.sums | md5sum --quiet -c
echo "writers: $(cat /tmp/w*.sums | wc -l) files are the same"
mkdir many && cd many && seq 10000 | xargs touch
echo 3 >/proc/sys/vm/drop_caches
[ "$(ls -f | sort -u | wc -l)" -eq 10002 ]
cd .. && echo "listing: 10000 entries, each once"
rm -r original many w*
[ -z "$(ls -A)" ]
