// All descendants of this process, read from /proc. Below a subreaper no descendant can leave the tree, whether it forks or starts a session.
#define _GNU_SOURCE
#include "Internal.h"

#include <CKernel.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// The kernel's lists of children are used, whose cost grows only with the number of descendants. A child can be missed while others come and go, so a
// caller that has to be sure looks again.

/// Whether a file of /proc is missing because its process has ended, and not for lack of descriptors or memory.
static int is_gone(void) { return errno == ENOENT || errno == ESRCH; }

/// Adds the children that one thread has started. Returns 0 if they cannot be listed.
static int add_children_of_thread(struct qq_processes *list, int proc, const char *path) {
    char text[4096], name[16];
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return is_gone();
    FILE *file = fdopen(fd, "r");
    if (!file) {
        close(fd);
        return 0;
    }
    setvbuf(file, text, _IOFBF, sizeof text);
    int complete = 1;
    while (complete && fscanf(file, "%15s", name) == 1) complete = qq_processes_add(list, proc, (pid_t)atoi(name));
    fclose(file);
    return complete;
}

static int add_children(struct qq_processes *list, int proc, pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "%d/task", pid);
    int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return is_gone();
    DIR *tasks = fdopendir(fd);
    if (!tasks) {
        close(fd);
        return 0;
    }
    struct dirent *entry;
    int complete = 1;
    while (complete && (entry = readdir(tasks))) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(path, sizeof path, "%d/task/%.20s/children", pid, entry->d_name);
        complete = add_children_of_thread(list, proc, path);
    }
    closedir(tasks);
    return complete;
}

static int has_lists_of_children(int proc) {
    char path[64];
    snprintf(path, sizeof path, "%d/task/%d/children", getpid(), getpid());
    return faccessat(proc, path, R_OK, 0) == 0;
}

/// Collects all descendants of this process, from the list of all processes if the kernel has no lists of children. Returns 0 if some might be
/// missing.
static int collect(struct qq_processes *list, int proc) {
    *list = (struct qq_processes){0};
    if (has_lists_of_children(proc)) {
        int complete = add_children(list, proc, getpid());
        for (int i = 0; i < list->count; i++) complete &= add_children(list, proc, list->items[i].pid);
        return complete;
    }
    if (qq_processes_read(list) != 0) return 0;
    qq_processes_choose_below(list, getpid());
    int kept = 0;
    for (int i = 0; i < list->count; i++)
        if (list->items[i].is_chosen) list->items[kept++] = list->items[i];
    list->count = kept;
    return 1;
}

static int is_listed(const struct qq_processes *list, pid_t pid) {
    for (int i = 0; i < list->count; i++)
        if (list->items[i].pid == pid) return 1;
    return 0;
}

/// Whether a child of this process is in the group. Only this process reaps its children, so the group's number cannot be reused before that.
static int is_pinned(const struct qq_processes *list, pid_t group) {
    for (int i = 0; i < list->count; i++)
        if (list->items[i].group == group && list->items[i].parent == getpid()) return 1;
    return 0;
}

/// Whether the group holds only descendants of this process. It can then be signalled as a whole, so that no fork inside it escapes. If the group's
/// leader is a descendant, the group was made below this process; if the leader has ended, every process of the machine is checked.
static int group_is_ours(const struct qq_processes *list, int proc, pid_t group) {
    if (group <= 1 || group == getpgrp() || !is_pinned(list, group)) return 0;
    if (is_listed(list, group)) return 1;
    int fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        if (fd >= 0) close(fd);
        return 0;
    }
    struct dirent *entry;
    int ours = 1;
    while (ours && (entry = readdir(directory))) {
        struct qq_process process;
        pid_t pid = (pid_t)atoi(entry->d_name);
        if (!isdigit((unsigned char)entry->d_name[0]) || getpgid(pid) != group) continue;
        if (qq_process_read(proc, pid, &process) && !process.is_zombie && process.group == group) ours = is_listed(list, pid);
    }
    closedir(directory);
    return ours;
}

/// Whether the group of the process at `before` was already signalled for an earlier process of the list.
static int group_was_seen(const struct qq_processes *list, int before, int zombies_count) {
    for (int i = 0; i < before; i++)
        if ((zombies_count || !list->items[i].is_zombie) && list->items[i].group == list->items[before].group) return 1;
    return 0;
}

struct qq_below qq_signal_descendants(int number, pid_t except) {
    struct qq_processes list;
    struct qq_below below = {0};
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return (struct qq_below){.living = -1};
    int complete = collect(&list, proc);
    for (int i = 0; i < list.count; i++) {
        const struct qq_process *process = &list.items[i];
        if (process->pid == except) continue;
        // A process that forks again and again is found dead more often than alive. Its group is still alive, and cannot be another group while the
        // zombie is not reaped.
        int counts = !process->is_zombie || number == SIGKILL;
        if (!process->is_zombie && below.living++ == 0) below.first = process->pid;
        if (number != 0 && counts && group_is_ours(&list, proc, process->group)) {
            // A process gets SIGTERM once: here with its group, or alone below.
            if (!group_was_seen(&list, i, number == SIGKILL)) kill(-process->group, number);
            if (number != SIGKILL) continue;
        }
        if (number != 0 && !process->is_zombie && qq_process_signal(process, number) != 0 && errno == EPERM) below.denied = process->pid;
    }
    close(proc);
    qq_processes_free(&list);
    if (!complete && below.living == 0) below.living = -1;
    return below;
}

int qq_signal_group_below(pid_t group, int number) {
    struct qq_processes list;
    int reached = 0, proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return 0;
    collect(&list, proc);
    for (int i = 0; i < list.count; i++)
        if (list.items[i].group == group && !list.items[i].is_zombie && qq_process_signal(&list.items[i], number) == 0) reached++;
    close(proc);
    qq_processes_free(&list);
    return reached;
}
