/* load URL FILE_MIB: what one client gets from an NFS server, by libnfs. Prints one "name value" a line; see run. */
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <nfsc/libnfs.h>

enum { CHUNK = 1 << 20, BLOCK = 4096, SMALL = 1000, SMALL_BYTES = 1024, ENTRIES = 10000, RANDOM_READS = 4000 };

static struct nfs_context *nfs;

static void fail(const char *what) {
  fprintf(stderr, "load: %s: %s\n", what, nfs ? nfs_get_error(nfs) : "no context");
  exit(1);
}

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void tell(const char *name, double value) {
  printf("%s %.1f\n", name, value);
  fflush(stdout);
}

static void mount_at(const char *text) {
  nfs = nfs_init_context();
  if (!nfs) fail("context");
  struct nfs_url *url = nfs_parse_url_dir(nfs, text);
  if (!url || nfs_mount(nfs, url->server, url->path)) fail("mount");
  nfs_destroy_url(url);
}

static uint64_t seed;

static uint64_t dice(void) {
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

static void sequential(struct nfsfh *file, int mib) {
  char *chunk = malloc(CHUNK);
  memset(chunk, 'a', CHUNK);
  double began = now();
  for (int i = 0; i < mib; i++)
    if (nfs_pwrite(nfs, file, (uint64_t)i * CHUNK, CHUNK, chunk) != CHUNK) fail("write");
  if (nfs_fsync(nfs, file)) fail("commit");
  tell("write_mib_s", mib / (now() - began));
  began = now();
  for (int i = 0; i < mib; i++)
    if (nfs_pread(nfs, file, (uint64_t)i * CHUNK, CHUNK, chunk) != CHUNK) fail("read");
  tell("read_mib_s", mib / (now() - began));
  free(chunk);
}

struct reads {
  struct nfsfh *file;
  uint64_t blocks;
  int asked, done;
};

static void ask(struct reads *reads);

static void answered(int status, struct nfs_context *context, void *data, void *private) {
  (void)context, (void)data;
  struct reads *reads = private;
  if (status != BLOCK) fail("random read");
  reads->done++;
  ask(reads);
}

static void ask(struct reads *reads) {
  if (reads->asked == RANDOM_READS) return;
  reads->asked++;
  uint64_t at = dice() % reads->blocks * BLOCK;
  if (nfs_pread_async(nfs, reads->file, at, BLOCK, answered, reads)) fail("random read");
}

static void at_random(struct nfsfh *file, int mib, int in_flight, const char *name) {
  struct reads reads = {file, (uint64_t)mib * (CHUNK / BLOCK), 0, 0};
  double began = now();
  for (int i = 0; i < in_flight; i++) ask(&reads);
  while (reads.done < RANDOM_READS) {
    struct pollfd end = {nfs_get_fd(nfs), nfs_which_events(nfs), 0};
    if (poll(&end, 1, 5000) <= 0) fail("no answer in 5 s");
    if (nfs_service(nfs, end.revents)) fail("connection");
  }
  tell(name, RANDOM_READS / (now() - began));
}

static void make(const char *folder, int count, int bytes) {
  char path[64], content[SMALL_BYTES];
  memset(content, 'b', sizeof content);
  if (nfs_mkdir(nfs, folder)) fail("mkdir");
  for (int i = 0; i < count; i++) {
    struct nfsfh *file;
    snprintf(path, sizeof path, "%s/file-%d", folder, i);
    if (nfs_creat(nfs, path, 0644, &file)) fail("create");
    if (bytes && nfs_pwrite(nfs, file, 0, bytes, content) != bytes) fail("write of a small file");
    if (nfs_close(nfs, file)) fail("close");
  }
}

static void listing(const char *url) {
  make("/many", ENTRIES, 0);
  nfs_destroy_context(nfs); /* it remembers folders */
  mount_at(url);
  double began = now();
  struct nfsdir *folder;
  int count = 0;
  if (nfs_opendir(nfs, "/many", &folder)) fail("list");
  while (nfs_readdir(nfs, folder)) count++;
  double took = now() - began;
  nfs_closedir(nfs, folder);
  if (count < ENTRIES) fail("entries are missing");
  tell("list_entries_s", count / took);
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int mib = atoi(argv[2]);
  seed = 0x9e3779b97f4a7c15;
  mount_at(argv[1]);
  struct nfsfh *file;
  if (nfs_open2(nfs, "/big", O_CREAT | O_RDWR, 0644, &file)) fail("open");
  sequential(file, mib);
  at_random(file, mib, 1, "random_1_s");
  at_random(file, mib, 16, "random_16_s");
  nfs_close(nfs, file);
  double began = now();
  make("/small", SMALL, SMALL_BYTES);
  tell("create_s", SMALL / (now() - began));
  listing(argv[1]);
  return 0;
}
