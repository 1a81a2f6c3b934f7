# 100,000 random reads, writes, truncations and mappings of one file, each compared with what they should have done.
cp "$CTL/fsx" /tmp/fsx && chmod +x /tmp/fsx
time /tmp/fsx -N 100000 -S 42 file
