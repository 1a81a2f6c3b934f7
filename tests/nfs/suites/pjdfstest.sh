# pjdfstest, 398 tests of what POSIX says. These fail and may:
#   char, block, device_files   nobody makes devices in a volume
#   open_file_not_freed         NFS version 3 renames what is removed while it is open, so that it keeps a link
#   y2038                       NFS version 3 has 32 bits for seconds
cp "$CTL/pjdfstest" /tmp/pjdfstest && chmod +x /tmp/pjdfstest
cat >/tmp/settings.toml <<'SETTINGS'
[features]
utimensat = {}
posix_fallocate = {}
[settings]
naptime = 0.2
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"], ["bin", "bin"]]
SETTINGS
chmod 755 "$MNT" && mkdir -p "$MNT/pjdfstest" && chmod 777 "$MNT/pjdfstest"
/tmp/pjdfstest -c /tmp/settings.toml -p "$MNT/pjdfstest" >/tmp/report 2>&1
grep '^Summary' /tmp/report || { tail /tmp/report; exit 1; }
unexpected=$(grep 'FAILED$' /tmp/report | grep -vE '::(char|block) |device_files|open_file_not_freed|y2038')
echo "pjdfstest: $(echo -n "$unexpected" | grep -c .) failures that have no reason"
[ -z "$unexpected" ] || { echo "$unexpected"; exit 1; }
