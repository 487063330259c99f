/*
 * The physical limit: list every directory of a tree, and with `stat` look at each file as well. Changes nothing.
 *
 *     limit list|stat DIRECTORY
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int looks;
static long entries;

static void fail(const char *name) {
  perror(name);
  exit(1);
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
  }
  closedir(directory);
}

int main(int count, char **arguments) {
  if (count != 3) return 2;
  looks = strcmp(arguments[1], "stat") == 0;
  visit(AT_FDCWD, arguments[2]);
  printf("%ld\n", entries);
  return 0;
}
