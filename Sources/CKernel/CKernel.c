#define _GNU_SOURCE
#include "CKernel.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/statfs.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

uint64_t qq_boot_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int qq_ofd_lock(int fd, int type, int64_t start, int64_t length) {
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, F_OFD_SETLK, &lock);
}

int qq_ofd_find(int fd, int type, int64_t start, int64_t length, int64_t *at, int64_t *found_length) {
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    if (fcntl(fd, F_OFD_GETLK, &lock) != 0) return -1;
    if (lock.l_type == F_UNLCK) return 0;
    *at = lock.l_start;
    *found_length = lock.l_len;
    return 1;
}

int qq_duplicate_above(int fd, int minimum) { return fcntl(fd, F_DUPFD_CLOEXEC, minimum); }

int qq_set_cloexec(int fd, int on) { return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0); }

int qq_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

static int argument_count;
static char **argument_values;
static char *environment_start;
static size_t environment_room;

// glibc passes main's arguments to constructors as well. The kernel puts the pointers to the environment directly after them, and the entries one
// after another. They are measured now, because unsetenv(3) moves the pointers.
__attribute__((constructor)) static void remember_arguments(int count, char **values) {
    argument_count = count;
    argument_values = values;
    char **entries = values + count + 1;
    char *end = environment_start = *entries;
    for (; *entries; entries++)
        if (*entries == end) end += strlen(*entries) + 1;
    environment_room = (size_t)(end - environment_start);
}

char *qq_environment_memory(size_t *room) {
    *room = environment_room;
    return environment_start;
}

char *const *qq_arguments(int *count) {
    *count = argument_count;
    return argument_values;
}

int qq_signal_is_ignored(int number) {
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void qq_reserve_standard_streams(void) {
    // Opened in the wrong direction, so that reads and writes fail as on a closed stream. Close-on-exec: child processes still find the streams
    // closed.
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)!open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

void qq_use_one_heap(void) { mallopt(M_ARENA_MAX, 1); }

int qq_become_subreaper(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

int qq_spawn_shell(const char *command, char *const environment[], pid_t *pid) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t none, all;
    char *const arguments[] = {"sh", "-c", (char *)command, NULL};
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, 2, 1);
    int result = posix_spawn(pid, "/bin/sh", &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return result;
}

int qq_status_exited(int status, int *value) {
    *value = WEXITSTATUS(status);
    return WIFEXITED(status);
}

int qq_status_signaled(int status, int *value) {
    *value = WTERMSIG(status);
    return WIFSIGNALED(status);
}

int qq_reserve(int fd, int64_t offset, int64_t length) { return fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length); }

int qq_file_system_type(int fd, int64_t *type) {
    struct statfs information;
    if (fstatfs(fd, &information) != 0) return -1;
    *type = (int64_t)information.f_type;
    return 0;
}

int qq_terminal_columns(int fd) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0) return 0;
    return size.ws_col;
}
