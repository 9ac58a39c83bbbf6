// The command's own cgroup, if one can be made. A process leaves it only if root moves it, and the kernel can kill everything in it in one step.
//
// cgroups(7) and the kernel's cgroup-v2.rst: cgroup.kill (Linux 5.14) sends SIGKILL to everything in a cgroup and below it, forks included; the line
// "populated" of cgroup.events shows whether it contains live processes.
#define _GNU_SOURCE
#include "Internal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/// Mount point of the version 2 hierarchy; NULL if it is not mounted.
static const char *mount_point(void) {
    static const char *const places[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        struct statfs information;
        if (statfs(places[i], &information) == 0 && information.f_type == CGROUP2_SUPER_MAGIC) return places[i];
    }
    return NULL;
}

/// Writes the folder of the cgroup that `text` (the content of /proc/PID/cgroup) names to `path`. Returns 0 if it cannot be reached.
static int folder_of(char *text, char *path, size_t room) {
    const char *mount = mount_point();
    char *line = strncmp(text, "0::/", 4) == 0 ? text : strstr(text, "\n0::/");
    if (!mount || !line) return 0;
    char *start = strchr(line, '/');
    start[strcspn(start, "\n")] = 0;
    // A cgroup outside of our cgroup namespace is shown as a path that leads upwards.
    if (strncmp(start, "/..", 3) == 0) return 0;
    return (size_t)snprintf(path, room, "%s%s", mount, strcmp(start, "/") == 0 ? "" : start) < room;
}

int qq_cgroup_path(pid_t pid, char *path, size_t room) {
    char text[QQ_CGROUP_PATH];
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return 0;
    ssize_t length = qq_proc_read(proc, pid, "cgroup", text, sizeof text);
    close(proc);
    return length > 0 && folder_of(text, path, room);
}

static int write_to(const char *folder, const char *file, const char *text) {
    char path[QQ_CGROUP_PATH + 32];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t done = write(fd, text, strlen(text));
    close(fd);
    return done < 0 ? -1 : 0;
}

int qq_cgroup_make(const char *name, char *path) {
    char own[QQ_CGROUP_PATH], file[QQ_CGROUP_PATH + 32];
    *path = 0;
    if (!name || !*name || !qq_cgroup_path(getpid(), own, sizeof own)) return 0;
    if ((size_t)snprintf(path, QQ_CGROUP_PATH, "%s/%s", own, name) >= QQ_CGROUP_PATH || mkdir(path, 0700) != 0) {
        *path = 0;
        return 0;
    }
    snprintf(file, sizeof file, "%s/cgroup.kill", path);
    if (access(file, W_OK) == 0) return 1;
    qq_cgroup_remove(path);
    *path = 0;
    return 0;
}

pid_t qq_cgroup_fork(const char *path) {
    int folder = *path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (folder < 0) return fork();
    // The child is created inside the cgroup: moving it there later would cost a kernel grace period, and it could fork before the move.
    struct clone_args arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)folder};
    pid_t pid = (pid_t)syscall(SYS_clone3, &arguments, sizeof arguments);
    int error = errno;
    if (pid != 0) close(folder);
    // A threaded cgroup, or one that is being removed, accepts no processes (EOPNOTSUPP, EBUSY, ENODEV), and older kernels lack the call.
    if (pid < 0 && error != EAGAIN && error != ENOMEM) return fork();
    errno = error;
    return pid;
}

int qq_cgroup_kill(const char *path) { return *path ? write_to(path, "cgroup.kill", "1") : -1; }

int qq_cgroup_is_populated(const char *path) {
    char file[QQ_CGROUP_PATH + 32], text[256];
    if (!*path) return 0;
    snprintf(file, sizeof file, "%s/cgroup.events", path);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return 0;
    text[length] = 0;
    return strstr(text, "populated 1") != NULL;
}

void qq_cgroup_remove(const char *path) {
    if (*path) rmdir(path);
}

void qq_cgroup_end(const char *name) {
    char own[QQ_CGROUP_PATH], path[QQ_CGROUP_PATH];
    if (!qq_cgroup_path(getpid(), own, sizeof own)) return;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", own, name) >= sizeof path || access(path, F_OK) != 0) return;
    qq_cgroup_kill(path);
    qq_cgroup_remove(path);
}
