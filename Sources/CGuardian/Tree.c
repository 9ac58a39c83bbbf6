// Everything below this process, read from /proc: with a subreaper at the top no descendant can leave it, whatever it forks or which session it makes.
#define _GNU_SOURCE
#include "Internal.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct process {
    pid_t pid, parent, group;
    char below, zombie;
};

struct list {
    struct process *items;
    int count, room;
};

static int read_process(int proc, const char *name, struct process *process) {
    char path[64], text[512];
    snprintf(path, sizeof path, "%s/stat", name);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0) return 0;
    text[length] = 0;
    // The command's name stands in parentheses and may hold any byte, so the fields are read from the last one on.
    char *fields = strrchr(text, ')');
    char state;
    int parent, group;
    if (!fields || sscanf(fields + 1, " %c %d %d", &state, &parent, &group) != 3) return 0;
    process->pid = (pid_t)atoi(name);
    process->parent = parent;
    process->group = group;
    process->below = 0;
    process->zombie = state == 'Z' || state == 'X';
    return 1;
}

/// 0 where there is no memory.
static int add(struct list *list, int proc, const char *name) {
    if (list->count == list->room) {
        int room = list->room ? list->room * 2 : 64;
        struct process *items = realloc(list->items, (size_t)room * sizeof *items);
        if (!items) return 0;
        list->items = items;
        list->room = room;
    }
    if (read_process(proc, name, &list->items[list->count])) list->count++;
    return 1;
}

// By the kernel's lists of children, which cost no more than there are descendants. A child can be missed while others come and go, so whoever needs
// to be sure looks again.

/// The children that one thread has started.
static void add_children_of_thread(struct list *list, int proc, const char *path) {
    char text[4096], name[16];
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    FILE *file = fdopen(fd, "r");
    if (!file) {
        close(fd);
        return;
    }
    setvbuf(file, text, _IOFBF, sizeof text);
    while (fscanf(file, "%15s", name) == 1 && add(list, proc, name)) {}
    fclose(file);
}

static void add_children(struct list *list, int proc, pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "%d/task", pid);
    int fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *tasks = fd < 0 ? NULL : fdopendir(fd);
    if (!tasks) {
        if (fd >= 0) close(fd);
        return;
    }
    struct dirent *entry;
    while ((entry = readdir(tasks))) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(path, sizeof path, "%d/task/%.20s/children", pid, entry->d_name);
        add_children_of_thread(list, proc, path);
    }
    closedir(tasks);
}

static int has_lists_of_children(int proc) {
    char path[64];
    snprintf(path, sizeof path, "%d/task/%d/children", getpid(), getpid());
    return faccessat(proc, path, R_OK, 0) == 0;
}

// By every process of the machine, where the kernel has no lists of children.

static int by_pid(const void *left, const void *right) {
    return ((const struct process *)left)->pid - ((const struct process *)right)->pid;
}

static void keep_below(struct list *list, pid_t root) {
    struct process *items = list->items;
    qsort(items, (size_t)list->count, sizeof *items, by_pid);
    for (int changed = 1; changed;) {
        changed = 0;
        for (int i = 0; i < list->count; i++) {
            if (items[i].below || items[i].pid == root) continue;
            struct process key = {.pid = items[i].parent};
            const struct process *parent = bsearch(&key, items, (size_t)list->count, sizeof *items, by_pid);
            if (items[i].parent == root || (parent && parent->below)) items[i].below = changed = 1;
        }
    }
    int kept = 0;
    for (int i = 0; i < list->count; i++)
        if (items[i].below) items[kept++] = items[i];
    list->count = kept;
}

/// Everything below this process.
static void collect(struct list *list, DIR *directory) {
    int proc = dirfd(directory);
    if (has_lists_of_children(proc)) {
        add_children(list, proc, getpid());
        for (int i = 0; i < list->count; i++) add_children(list, proc, list->items[i].pid);
    } else {
        struct dirent *entry;
        while ((entry = readdir(directory)))
            if (isdigit((unsigned char)entry->d_name[0]) && !add(list, proc, entry->d_name)) break;
        keep_below(list, getpid());
    }
}

static int is_listed(const struct list *list, pid_t pid) {
    for (int i = 0; i < list->count; i++)
        if (list->items[i].pid == pid) return 1;
    return 0;
}

/// A group that holds nothing but what is below us can be signalled as one, which no fork inside it can slip through. Where its leader is below us it
/// was made there; where the leader is gone, every process of the machine is asked.
static int group_is_ours(const struct list *list, int proc, pid_t group) {
    if (group <= 1 || group == getpgrp()) return 0;
    if (is_listed(list, group)) return 1;
    DIR *directory = fdopendir(openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory) return 0;
    struct dirent *entry;
    int ours = 1;
    while (ours && (entry = readdir(directory))) {
        struct process process;
        if (!isdigit((unsigned char)entry->d_name[0]) || getpgid((pid_t)atoi(entry->d_name)) != group) continue;
        if (read_process(proc, entry->d_name, &process) && !process.zombie && process.group == group) ours = is_listed(list, process.pid);
    }
    closedir(directory);
    return ours;
}

/// Whether a process before this one has already had its group signalled.
static int group_was_seen(const struct list *list, int before, int zombies_count) {
    for (int i = 0; i < before; i++)
        if ((zombies_count || !list->items[i].zombie) && list->items[i].group == list->items[before].group) return 1;
    return 0;
}

int qq_signal_descendants(int number, pid_t *denied) {
    struct list list = {0};
    int living = 0;
    if (denied) *denied = 0;
    DIR *directory = opendir("/proc");
    if (!directory) return -1;
    collect(&list, directory);
    for (int i = 0; i < list.count; i++) {
        const struct process *process = &list.items[i];
        // What forks again and again is found dead more often than alive. Its group is not dead, and nobody else's while the zombie is not reaped.
        int counts = !process->zombie || number == SIGKILL;
        if (!process->zombie) living++;
        if (number != 0 && counts && group_is_ours(&list, dirfd(directory), process->group)) {
            // SIGTERM goes to a process once: with its group, or by itself below.
            if (!group_was_seen(&list, i, number == SIGKILL)) kill(-process->group, number);
            if (number != SIGKILL) continue;
        }
        if (!process->zombie && kill(process->pid, number) != 0 && errno == EPERM && denied) *denied = process->pid;
    }
    closedir(directory);
    free(list.items);
    return living;
}
