# The Connectathon suite: basic and general.
cp -r "$CTL/cthon04" /tmp/cthon && cd /tmp/cthon || exit 1
for group in basic general; do
  mkdir -p "$MNT/$group"
  (cd "$group" && NFSTESTDIR="$MNT/$group" sh runtests -f) >/tmp/report 2>&1 || { tail -n 20 /tmp/report; exit 1; }
  echo "cthon04: $group passed"
done
