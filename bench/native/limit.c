/*
 * The physical limit: list every directory of a tree; with `stat`, look at each file as well; with `read`, read each file as well,
 * opened as permwalk opens it, so that nothing but a file can be opened. Changes nothing.
 *
 *     limit list|stat|read DIRECTORY
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int looks, reads;
static long entries;

static void fail(const char *name) {
  perror(name);
  exit(1);
}

static void readFile(int directory, const char *name) {
  static char bytes[1 << 16], path[64];
  struct stat facts;
  int entry = openat(directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (entry < 0 || fstat(entry, &facts) != 0) fail(name);
  if (S_ISREG(facts.st_mode)) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", entry);
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : 0;
    // One call for a small file, as permwalk does it: it asks for a byte more than there is.
    for (off_t at = 0; length >= 0; at += length) {
      length = pread(fd, bytes, sizeof bytes, at);
      if (length == 0 || at + length == facts.st_size) break;
    }
    if (length < 0) fail(name);
    close(fd);
  }
  close(entry);
}

static void visit(int parent, const char *name) {
  int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *directory = fd < 0 ? NULL : fdopendir(fd);
  if (directory == NULL) fail(name);
  for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
    struct stat facts;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    entries += 1;
    int isDirectory = entry->d_type == DT_DIR;
    if (looks || entry->d_type == DT_UNKNOWN) {
      if (fstatat(fd, entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) fail(entry->d_name);
      isDirectory = S_ISDIR(facts.st_mode);
    }
    if (isDirectory) visit(fd, entry->d_name);
    else if (reads) readFile(fd, entry->d_name);
  }
  closedir(directory);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  looks = strcmp(arguments[1], "stat") == 0;
  reads = strcmp(arguments[1], "read") == 0;
  visit(AT_FDCWD, arguments[2]);
  printf("%ld\n", entries);
  return 0;
}
