/*
 * Loaded before the C library: while the file named by NACRE_SYNC_FAULT is there, every fsync
 * fails as it does on a disk that has lost a page, and nothing reaches it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(void) {
    const char *fault = getenv("NACRE_SYNC_FAULT");
    return fault && access(fault, F_OK) == 0;
}

static int sync_by(long number, int file) {
    if (fails()) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(number, file);
}

int fsync(int file) { return sync_by(SYS_fsync, file); }

int fdatasync(int file) { return sync_by(SYS_fdatasync, file); }
