// Processes as /proc shows them, and signals to them that cannot reach another process with the same pid.
#define _GNU_SOURCE
#include "CKernel.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int qq_process_open(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int qq_process_kill(int process) { return qq_process_send(process, SIGKILL); }

int qq_process_send(int process, int number) { return (int)syscall(SYS_pidfd_send_signal, process, number, NULL, 0); }

ssize_t qq_proc_read(int proc, pid_t pid, const char *file, char *buffer, size_t room) {
    char path[128];
    snprintf(path, sizeof path, "%d/%s", pid, file);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    size_t filled = 0;
    ssize_t got = 0;
    while (filled < room - 1 && (got = read(fd, buffer + filled, room - 1 - filled)) > 0) filled += (size_t)got;
    int error = errno;
    close(fd);
    errno = error;
    if (got < 0 && filled == 0) return -1;
    buffer[filled] = 0;
    return (ssize_t)filled;
}

ssize_t qq_proc_read_any(int proc, pid_t pid, const char *file, char *buffer, size_t room) {
    char path[64], thread[96];
    ssize_t length = qq_proc_read(proc, pid, file, buffer, room);
    if (length > 0) return length;
    // Every thread shows the files of its process, even after the first thread has ended.
    snprintf(path, sizeof path, "%d/task", pid);
    int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
    if (!tasks) {
        if (fd >= 0) close(fd);
        return length;
    }
    struct dirent *entry;
    while (length <= 0 && (entry = readdir(tasks))) {
        if (!isdigit((unsigned char)entry->d_name[0]) || (pid_t)atoi(entry->d_name) == pid) continue;
        snprintf(thread, sizeof thread, "task/%.20s/%s", entry->d_name, file);
        length = qq_proc_read(proc, pid, thread, buffer, room);
    }
    closedir(tasks);
    return length;
}

int qq_process_read(int proc, pid_t pid, struct qq_process *process) {
    char text[1024];
    if (qq_proc_read(proc, pid, "stat", text, sizeof text) <= 0) return 0;
    // The name is in parentheses and can hold any byte. The fields are therefore counted from the last parenthesis.
    char *name = strchr(text, '('), *fields = strrchr(text, ')'), state;
    int parent, group;
    unsigned flags;
    long threads;
    unsigned long long started;
    if (!name || !fields || fields < name) return 0;
    // proc_pid_stat(5): state, ppid and pgrp are fields 3 to 5, flags is field 9, num_threads field 20, starttime field 22.
    if (sscanf(
            fields + 1, " %c %d %d %*d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld %*d %llu", &state, &parent, &group, &flags,
            &threads, &started) != 6)
        return 0;
    memset(process, 0, sizeof *process);
    process->pid = pid;
    process->parent = parent;
    process->group = group;
    process->started = started;
    process->is_kernel = (flags & 0x00200000) != 0;  // PF_KTHREAD of the kernel's sched.h
    // A process whose first thread has ended looks like a zombie but runs on in its other threads.
    process->is_zombie = (state == 'Z' || state == 'X') && threads <= 1;
    *fields = 0;
    strncpy(process->name, name + 1, sizeof process->name - 1);
    return 1;
}

int qq_processes_add(struct qq_processes *list, int proc, pid_t pid) {
    if (list->count == list->room) {
        int room = list->room ? list->room * 2 : 64;
        struct qq_process *items = realloc(list->items, (size_t)room * sizeof *items);
        if (!items) return 0;
        list->items = items;
        list->room = room;
    }
    if (qq_process_read(proc, pid, &list->items[list->count])) list->count++;
    return 1;
}

static int by_pid(const void *left, const void *right) {
    pid_t one = ((const struct qq_process *)left)->pid, other = ((const struct qq_process *)right)->pid;
    return (one > other) - (one < other);
}

int qq_processes_read(struct qq_processes *list) {
    *list = (struct qq_processes){0};
    DIR *directory = opendir("/proc");
    if (!directory) return -1;
    struct dirent *entry;
    while ((entry = readdir(directory)))
        if (isdigit((unsigned char)entry->d_name[0]) && !qq_processes_add(list, dirfd(directory), (pid_t)atoi(entry->d_name))) break;
    closedir(directory);
    if (list->count > 0) qsort(list->items, (size_t)list->count, sizeof *list->items, by_pid);
    return 0;
}

void qq_processes_free(struct qq_processes *list) {
    free(list->items);
    *list = (struct qq_processes){0};
}

struct qq_process *qq_processes_find(const struct qq_processes *list, pid_t pid) {
    struct qq_process key = {.pid = pid};
    return list->count ? bsearch(&key, list->items, (size_t)list->count, sizeof key, by_pid) : NULL;
}

void qq_processes_choose_below(struct qq_processes *list, pid_t root) {
    for (int changed = 1; changed;) {
        changed = 0;
        for (int i = 0; i < list->count; i++) {
            struct qq_process *process = &list->items[i];
            if (process->is_chosen || process->is_spared || process->pid == root) continue;
            const struct qq_process *parent = qq_processes_find(list, process->parent);
            if ((root > 0 && process->parent == root) || (parent && parent->is_chosen)) process->is_chosen = changed = 1;
        }
    }
}

const char qq_guardian_name[] = "lease-guardian";

int qq_process_is_guardian(const struct qq_process *process) { return strcmp(process->name, qq_guardian_name) == 0; }

void qq_processes_spare_lineage(struct qq_processes *list) {
    struct qq_process *process = qq_processes_find(list, getpid());
    for (int steps = 0; process && steps < list->count; steps++, process = qq_processes_find(list, process->parent)) process->is_spared = 1;
}

/// The pid of the qq that started a guardian, as the guardian shows it; 0 if it shows none.
static pid_t qq_of(int proc, const struct qq_process *guardian) {
    char text[4096];
    static const char name[] = "QQ_OF=";
    ssize_t length = qq_proc_read(proc, guardian->pid, "environ", text, sizeof text);
    for (const char *entry = text; length > 0 && entry < text + length; entry += strlen(entry) + 1)
        if (strncmp(entry, name, sizeof name - 1) == 0) return (pid_t)atoi(entry + sizeof name - 1);
    return 0;
}

void qq_processes_choose_guarded(struct qq_processes *list, int proc) {
    for (int i = 0; i < list->count; i++) {
        const struct qq_process *guardian = &list->items[i];
        if (!guardian->is_chosen || !qq_process_is_guardian(guardian)) continue;
        // The pids differ in another pid namespace, and a guardian whose qq has ended is the child of an unrelated process.
        const struct qq_process *parent = qq_processes_find(list, guardian->parent);
        if (parent && strcmp(parent->name, "qq") == 0 && parent->pid == qq_of(proc, guardian)) qq_processes_choose_below(list, parent->pid);
    }
    qq_processes_choose_below(list, 0);
}

int qq_processes_kill(struct qq_processes *list) {
    int living = 0, below = 0;
    for (int pass = 0; pass < 2; pass++) {
        // The other processes are found through their guardian, which is therefore killed only when none of them is left.
        if (pass == 1 && below > 0) break;
        // Newest first: a process that forks again and again would have continued as another one by the time that all have been handled.
        for (int i = list->count - 1; i >= 0; i--) {
            struct qq_process *process = &list->items[i];
            if (!process->is_chosen || process->is_zombie || process->is_spared || qq_process_is_guardian(process) != (pass == 1)) continue;
            if (qq_process_signal(process, SIGKILL) != 0) {
                if (errno == ESRCH) continue;
                process->is_denied = errno == EPERM;
            }
            living++;
            if (pass == 0) below++;
        }
    }
    return living;
}

int qq_process_signal(const struct qq_process *process, int number) {
    int descriptor = qq_process_open(process->pid);
    if (descriptor < 0) return -1;
    // The pid might belong to another process by now. The descriptor refers to one process for good, so the start time decides.
    struct qq_process now;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = -1, error = ESRCH;
    if (proc >= 0 && qq_process_read(proc, process->pid, &now) && now.started == process->started) {
        result = number == 0 ? 0 : qq_process_send(descriptor, number);
        error = errno;
    }
    if (proc >= 0) close(proc);
    close(descriptor);
    errno = error;
    return result;
}

int qq_proc_problem(void) {
    char text[4096];
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return QQ_PROC_MISSING;
    // "self" is resolved in the pid namespace that this /proc was mounted for.
    int fd = openat(proc, "self/status", O_RDONLY | O_CLOEXEC), result = QQ_PROC_MISSING;
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0) close(fd);
    if (length > 0) {
        text[length] = 0;
        // pid_namespaces(7): one pid for each namespace, from that of /proc down to the process's own.
        int number = 0, inner = 0;
        const char *line = strstr(text, "\nNSpid:");
        int found = line ? sscanf(line + 7, "%d %d", &number, &inner) : 0;
        result = found == 1 && number == getpid() ? QQ_PROC_USABLE : QQ_PROC_FOREIGN;
    }
    close(proc);
    if (result != QQ_PROC_USABLE) return result;
    int self = qq_process_open(getpid());
    if (self < 0) return QQ_PROC_NO_DESCRIPTORS;
    close(self);
    return QQ_PROC_USABLE;
}

int qq_proc_hides(void) {
    // CAP_SYS_PTRACE allows a process to see everything. Process 1 usually belongs to root: if another user sees it, no process is hidden.
    struct qq_process first;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return 1;
    int sees_first = qq_process_read(proc, 1, &first);
    int is_own = faccessat(proc, "1/environ", R_OK, 0) == 0;
    close(proc);
    if (!sees_first) return 1;
    if (geteuid() == 0 || !is_own) return 0;
    // Process 1 belongs to this user, so that seeing it proves nothing: the mount's options decide (proc(5)).
    FILE *mounts = fopen("/proc/self/mounts", "re");
    if (!mounts) return 1;
    char line[4096];
    int hides = 0;
    while (fgets(line, sizeof line, mounts)) {
        char *options = strstr(line, " /proc proc ");
        // The last mount on the folder is the visible one.
        if (options) hides = strstr(options, "hidepid=") && !strstr(options, "hidepid=0") && !strstr(options, "hidepid=off");
    }
    fclose(mounts);
    return hides;
}
