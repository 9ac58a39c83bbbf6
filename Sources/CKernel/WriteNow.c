#define _GNU_SOURCE
#include "CKernel.h"

#include <errno.h>
#include <sys/uio.h>

int64_t qq_write_now(int fd, const void *bytes, size_t count) {
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = count};
    for (;;) {
        ssize_t written = pwritev2(fd, &piece, 1, -1, RWF_NOWAIT);
        if (written >= 0) return written;
        if (errno == EINTR) continue;
        // Terminals do not support RWF_NOWAIT, nor do pipes before Linux 6.4.
        if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL || errno == ESPIPE) errno = EAGAIN;
        return -1;
    }
}
