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

static int read_all(struct process **list) {
    int count = 0, room = 256;
    DIR *directory = opendir("/proc");
    if (!directory) return -1;
    struct process *processes = malloc((size_t)room * sizeof *processes);
    struct dirent *entry;
    while (processes && (entry = readdir(directory))) {
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        if (count == room) {
            room *= 2;
            struct process *more = realloc(processes, (size_t)room * sizeof *processes);
            if (!more) break;
            processes = more;
        }
        if (read_process(dirfd(directory), entry->d_name, &processes[count])) count++;
    }
    closedir(directory);
    if (!processes || count == 0) {
        free(processes);
        errno = processes ? ENOENT : ENOMEM;
        return -1;
    }
    *list = processes;
    return count;
}

static int by_pid(const void *left, const void *right) {
    return ((const struct process *)left)->pid - ((const struct process *)right)->pid;
}

static void mark_below(struct process *list, int count, pid_t root) {
    qsort(list, (size_t)count, sizeof *list, by_pid);
    for (int changed = 1; changed;) {
        changed = 0;
        for (int i = 0; i < count; i++) {
            if (list[i].below || list[i].pid == root) continue;
            struct process key = {.pid = list[i].parent};
            const struct process *parent = bsearch(&key, list, (size_t)count, sizeof *list, by_pid);
            if (list[i].parent == root || (parent && parent->below)) list[i].below = changed = 1;
        }
    }
}

/// A group that holds nothing but processes below us can be signalled as one, which no fork inside it can slip through.
static int group_is_ours(const struct process *list, int count, pid_t group) {
    for (int i = 0; i < count; i++)
        if (list[i].group == group && !list[i].below && !list[i].zombie) return 0;
    return group > 1;
}

int qq_signal_descendants(int number, pid_t *denied) {
    struct process *list = NULL;
    pid_t root = getpid();
    int living = 0;
    if (denied) *denied = 0;
    int count = read_all(&list);
    if (count < 0) return -1;
    mark_below(list, count, root);
    for (int i = 0; i < count; i++) {
        if (!list[i].below || (list[i].zombie && number != SIGKILL)) continue;
        if (!list[i].zombie) living++;
        // What forks again and again is found dead more often than alive. Its group is not dead, and nobody else's while the zombie is not reaped.
        if (number != 0 && list[i].group != getpgrp() && group_is_ours(list, count, list[i].group)) {
            int seen = 0;
            for (int j = 0; j < i && !seen; j++)
                seen = list[j].below && (!list[j].zombie || number == SIGKILL) && list[j].group == list[i].group;
            // SIGTERM goes to a process once: with its group, or by itself below.
            if (!seen) kill(-list[i].group, number);
            if (number != SIGKILL) continue;
        }
        if (list[i].zombie) continue;
        if (kill(list[i].pid, number) != 0 && errno == EPERM && denied) *denied = list[i].pid;
    }
    free(list);
    return living;
}
