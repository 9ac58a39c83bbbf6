// What earlier terms of an election have left on this machine: processes of a command whose qq and guardian were both killed, or both stopped.
//
// A command, and all that it starts, inherits a variable that marks its term; its guardian shows the same mark while it guards; and where a cgroup may be
// made the command runs in one named after the mark. Whoever is granted the election next looks for marks and cgroups of it, for the guardians above
// them, and for everything below all of these, and ends it. What has changed its environment, has left the tree and has no cgroup is not found.
//
// A mark is EXACT-LOOSE-UNIQUE: the election at its server, the election's name with its system, and the term. The same servers can be named in other
// ways; what has only the loose part in common is ended if no guardian is above it, for then nobody guards it any more.
#define _GNU_SOURCE
#include "Internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGEST_ENVIRONMENT = 2 * 1024 * 1024 };
enum match { NONE, LOOSE, EXACT };

static enum match match_mark(const struct qq_leftovers *leftovers, const char *mark) {
    for (const char **exact = leftovers->exact; *exact; exact++)
        if (strncmp(mark, *exact, strlen(*exact)) == 0) return EXACT;
    const char *loose = strchr(mark, '-');
    return loose && strncmp(loose + 1, leftovers->loose, strlen(leftovers->loose)) == 0 ? LOOSE : NONE;
}

/// The best match among the marks in an environment: those of the terms that a process works under, the innermost first, between commas.
static enum match match_environment(const struct qq_leftovers *leftovers, const char *text, size_t length) {
    size_t name = strlen(leftovers->variable);
    for (const char *entry = text; entry < text + length; entry += strlen(entry) + 1) {
        if (strncmp(entry, leftovers->variable, name) != 0 || entry[name] != '=') continue;
        enum match best = NONE;
        for (const char *mark = entry + name + 1; mark; mark = strchr(mark, ',') ? strchr(mark, ',') + 1 : NULL) {
            enum match found = match_mark(leftovers, mark);
            if (found > best) best = found;
        }
        return best;
    }
    return NONE;
}

/// Whether a part of the path names a cgroup of the election. The path then ends with that part.
static enum match match_cgroup(const struct qq_leftovers *leftovers, char *path) {
    for (char *part = strstr(path, "/qq-"); part; part = strstr(part + 1, "/qq-")) {
        enum match found = match_mark(leftovers, part + 4);
        if (found == NONE) continue;
        part[1 + strcspn(part + 1, "/")] = 0;
        return found;
    }
    return NONE;
}

/// Whether a living guardian is above the process.
static int is_guarded(const struct qq_processes *list, const struct qq_process *process) {
    for (int steps = 0; process && steps < list->count; steps++, process = qq_processes_find(list, process->parent))
        if (qq_process_is_guardian(process) && !process->is_zombie) return 1;
    return 0;
}

/// Ourselves, what is above us and what is below us: never ended from here.
enum { BELOW = 1, SELF_OR_ABOVE = 2 };
static void spare_family(struct qq_processes *list) {
    qq_processes_choose_below(list, getpid());
    for (int i = 0; i < list->count; i++) {
        list->items[i].is_spared = list->items[i].is_chosen ? BELOW : 0;
        list->items[i].is_chosen = 0;
    }
    struct qq_process *process = qq_processes_find(list, getpid());
    for (int steps = 0; process && steps < list->count; steps++, process = qq_processes_find(list, process->parent))
        process->is_spared = SELF_OR_ABOVE;
}

/// Ends the cgroups of the election that are that are beside this process, and removes those that are empty.
static void end_cgroups(const struct qq_leftovers *leftovers) {
    char own[QQ_CGROUP_PATH], path[QQ_CGROUP_PATH + 300];
    if (!qq_cgroup_path(getpid(), own, sizeof own)) return;
    DIR *directory = opendir(own);
    if (!directory) return;
    struct dirent *entry;
    while ((entry = readdir(directory))) {
        if (strncmp(entry->d_name, "qq-", 3) != 0 || match_mark(leftovers, entry->d_name + 3) != EXACT) continue;
        snprintf(path, sizeof path, "%s/%s", own, entry->d_name);
        qq_cgroup_kill(path);
        qq_cgroup_remove(path);
    }
    closedir(directory);
}

int qq_leftovers_end(const struct qq_leftovers *leftovers, pid_t *pids, int room) {
    struct qq_processes list;
    char cgroup[QQ_CGROUP_PATH], *environment = malloc(LARGEST_ENVIRONMENT);
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), found = 0;
    if (proc < 0 || !environment || qq_processes_read(&list) != 0) {
        int error = errno;
        if (proc >= 0) close(proc);
        free(environment);
        errno = error;
        return -1;
    }
    int has_cgroups = qq_cgroup_path(getpid(), cgroup, sizeof cgroup);
    spare_family(&list);
    for (int i = 0; i < list.count; i++) {
        struct qq_process *process = &list.items[i];
        if (process->is_spared == BELOW || process->is_zombie || process->pid == getpid()) continue;
        ssize_t length = qq_proc_read(proc, process->pid, "environ", environment, LARGEST_ENVIRONMENT);
        enum match match = length > 0 ? match_environment(leftovers, environment, (size_t)length) : NONE;
        if (match != EXACT && has_cgroups && qq_cgroup_path(process->pid, cgroup, sizeof cgroup)) {
            enum match by_cgroup = match_cgroup(leftovers, cgroup);
            if (by_cgroup > match) match = by_cgroup;
        }
        if (process->is_spared) {
            // Work of an earlier term that has started this very process goes on for as long as this process does.
            if (match != EXACT) continue;
            if (found < room) pids[found] = process->pid;
            found++;
        } else {
            process->is_chosen = match == EXACT || (match == LOOSE && !is_guarded(&list, process));
        }
    }
    qq_processes_choose_guarded(&list);
    end_cgroups(leftovers);
    for (int i = 0; i < list.count; i++) {
        struct qq_process *process = &list.items[i];
        if (!process->is_chosen || process->is_zombie || process->is_spared) continue;
        if (qq_process_signal(process, SIGKILL) != 0 && errno == ESRCH) continue;
        if (found < room) pids[found] = process->pid;
        found++;
    }
    close(proc);
    free(environment);
    qq_processes_free(&list);
    return found;
}
