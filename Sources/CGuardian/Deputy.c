// The deputy: gives the lease up in the place of a qq that was killed.
//
// A guardian whose qq is gone ends the command. Once nothing of it lives, the guardian becomes a qq again, started with words that the killed one had
// left with it: the arguments that name the server, the environment with the secrets for it, and the grant. The deputy releases that one term, or ends
// with the lease. A lease that shows by itself that its holder is dead, as a lease file does, needs no deputy.
//
// The words are in a sealed file in memory without a name, which only the guardian has open: secrets are in no order, argument or file.
#define _GNU_SOURCE
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST_WORDS_LENGTH = 4 * 1024 * 1024 };

int qq_deputy_words(const char *words, size_t length, uint32_t arguments) {
    if (length > MOST_WORDS_LENGTH) {
        errno = E2BIG;
        return -1;
    }
    int file = memfd_create("deputy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return -1;
    // The limit for files (RLIMIT_FSIZE) holds in memory too, and its signal would end qq.
    sigset_t limit, blocked;
    sigemptyset(&limit);
    sigaddset(&limit, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &limit, &blocked);
    int is_written = write(file, &arguments, sizeof arguments) == sizeof arguments;
    for (size_t at = 0; is_written && at < length;) {
        ssize_t count = write(file, words + at, length - at);
        if (count > 0) at += (size_t)count; else if (count == 0 || errno != EINTR) is_written = 0;
    }
    int write_error = errno;
    if (!is_written) (void)sigtimedwait(&limit, NULL, &(struct timespec){0});
    pthread_sigmask(SIG_SETMASK, &blocked, NULL);
    errno = write_error;
    if (is_written && fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0) return file;
    int error = errno;
    close(file);
    errno = error;
    return -1;
}

/// Returns the bytes of the file and a NUL after them, or NULL.
static char *read_words(int file, size_t *length) {
    off_t size = lseek(file, 0, SEEK_END);
    if (size < (off_t)sizeof(uint32_t) || size > MOST_WORDS_LENGTH + (off_t)sizeof(uint32_t)) return NULL;
    char *text = calloc((size_t)size + 1, 1);
    if (!text) return NULL;
    for (off_t at = 0; at < size;) {
        ssize_t count = pread(file, text + at, (size_t)(size - at), at);
        if (count > 0) at += count; else if (count == 0 || errno != EINTR) return NULL;
    }
    *length = (size_t)size;
    return text;
}

void qq_become_deputy(int program, int words, uint64_t end) {
    static char last[64];
    size_t length = 0, count = 0;
    char *text = read_words(words, &length);
    if (!text) return;
    uint32_t arguments;
    memcpy(&arguments, text, sizeof arguments);
    for (size_t at = sizeof arguments; at < length; at++) count += text[at] == 0;
    if (arguments == 0 || arguments > count) return;
    // The arguments and a NULL, the environment with one more entry and a NULL.
    char **list = calloc(count + 3, sizeof *list);
    if (!list) return;
    char *next = text + sizeof arguments;
    for (size_t i = 0; i < count; i++, next += strlen(next) + 1) list[i < arguments ? i : i + 1] = next;
    snprintf(last, sizeof last, QQ_DEPUTY_END "=%" PRIu64, end);
    list[count + 1] = last;
    qq_signals_restore();
    execveat(program, "", list, list + arguments + 1, AT_EMPTY_PATH);
}

void qq_deputy_name(void) { prctl(PR_SET_NAME, "qq", 0, 0, 0); }
