/* Makes fsync and fdatasync fail with EIO while a file is there whose path stands in FSYNC_FAILS. To be preloaded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int forced(const char *name, int file) {
    const char *sign = getenv("FSYNC_FAILS");
    if (sign && access(sign, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
}

int fsync(int file) { return forced("fsync", file); }
int fdatasync(int file) { return forced("fdatasync", file); }
