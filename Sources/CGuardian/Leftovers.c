// Survivors of earlier terms of an election on this machine: processes of a command whose qq and guardian were both killed, or both stopped.
//
// A command and everything it starts inherit a variable that marks its term. Its guardian shows the same mark while it guards, and if a cgroup can be
// made, the command runs in one that is named after the mark. The next holder of the election looks for its marks and cgroups, and kills the
// processes that have them together with all their descendants. A process that has changed its environment, has left the tree and has no cgroup is
// not found.
//
// A mark is EXACT-LOOSE-UNIQUE: the election at its server, the election's name with its system, and the term. The same servers can be named in
// several ways. A process whose mark matches only in the loose part is therefore killed if no guardian shows that mark, because then it is no longer
// guarded.
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

enum { LARGEST_ENVIRONMENT = 2 * 1024 * 1024, MARK_LENGTH = 50 };
enum match { NONE, LOOSE, EXACT };

static enum match match_mark(const struct qq_leftovers *leftovers, const char *mark) {
    for (const char **exact = leftovers->exact; *exact; exact++)
        if (strncmp(mark, *exact, strlen(*exact)) == 0) return EXACT;
    const char *loose = strchr(mark, '-');
    return loose && strncmp(loose + 1, leftovers->loose, strlen(leftovers->loose)) == 0 ? LOOSE : NONE;
}

/// Returns the marks in an environment, separated by commas: those of the terms that a process works under, innermost first. NULL if there are none.
static const char *marks_in(const struct qq_leftovers *leftovers, const char *text, ssize_t length) {
    size_t name = strlen(leftovers->variable);
    for (const char *entry = text; length > 0 && entry < text + length; entry += strlen(entry) + 1)
        if (strncmp(entry, leftovers->variable, name) == 0 && entry[name] == '=') return entry + name + 1;
    return NULL;
}

static const char *next_mark(const char *mark) {
    const char *comma = strchr(mark, ',');
    return comma ? comma + 1 : NULL;
}

/// Marks, each with the index of its process in the list.
struct marks {
    struct {
        int index;
        char text[MARK_LENGTH];
    } *items;
    int count, room;
};

/// Returns 0 if memory runs out.
static int add_mark(struct marks *marks, int index, const char *mark) {
    if (strlen(mark) < MARK_LENGTH) return 1;
    if (marks->count == marks->room) {
        int room = marks->room ? marks->room * 2 : 16;
        void *items = realloc(marks->items, (size_t)room * sizeof *marks->items);
        if (!items) return 0;
        marks->items = items;
        marks->room = room;
    }
    marks->items[marks->count].index = index;
    memcpy(marks->items[marks->count++].text, mark, MARK_LENGTH);
    return 1;
}

static int has_mark(const struct marks *marks, const char *mark) {
    for (int i = 0; i < marks->count; i++)
        if (strncmp(marks->items[i].text, mark, MARK_LENGTH) == 0) return 1;
    return 0;
}

/// Whether a component of the path names a cgroup of the election. If so, the path is cut off after that component.
static int is_cgroup_of(const struct qq_leftovers *leftovers, char *path) {
    for (char *part = strstr(path, "/qq-"); part; part = strstr(part + 1, "/qq-")) {
        if (match_mark(leftovers, part + 4) != EXACT) continue;
        part[1 + strcspn(part + 1, "/")] = 0;
        return 1;
    }
    return 0;
}

/// Kills the election's cgroups below this process's own cgroup, and removes those that are empty.
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

/// State of one round of the search.
struct search {
    struct qq_leftovers *leftovers;
    struct qq_processes list;
    struct marks loose, guarded;
    char *text;
    int proc;
};

static const char *marks_of(struct search *search, const struct qq_process *process) {
    ssize_t length = qq_proc_read_any(search->proc, process->pid, "environ", search->text, LARGEST_ENVIRONMENT);
    // Empty, as between two programs. A process that this user cannot read (EACCES) stays unreadable, so looking again is no use.
    if (length == 0) search->leftovers->is_unsure = 1;
    return marks_in(search->leftovers, search->text, length);
}

/// Chooses the processes of exactly this election, and notes the loosely matching marks. Returns 0 if memory runs out.
static int choose_exact(struct search *search) {
    char cgroup[QQ_CGROUP_PATH];
    int has_cgroups = qq_cgroup_path(getpid(), cgroup, sizeof cgroup);
    for (int i = 0; i < search->list.count; i++) {
        struct qq_process *process = &search->list.items[i];
        if (process->is_zombie || process->is_kernel || process->pid == getpid()) continue;
        for (const char *mark = marks_of(search, process); mark; mark = next_mark(mark)) {
            enum match match = match_mark(search->leftovers, mark);
            if (match == EXACT) process->is_chosen = 1;
            // A live guardian still guards its term, so only other processes are noted.
            if (match == LOOSE && !qq_process_is_guardian(process) && !process->is_spared && !add_mark(&search->loose, i, mark)) return 0;
        }
        if (!process->is_chosen && has_cgroups && qq_cgroup_path(process->pid, cgroup, sizeof cgroup) && is_cgroup_of(search->leftovers, cgroup)) {
            if (!process->is_spared) qq_cgroup_kill(cgroup);
            process->is_chosen = 1;
        }
    }
    return 1;
}

/// Chooses the noted processes whose mark no guardian shows. A guardian shows its mark before any process carries it. Guardians are therefore read
/// last; otherwise a term that has only just begun would seem unguarded. Returns 0 if memory runs out.
static int choose_loose(struct search *search) {
    if (search->loose.count == 0) return 1;
    for (int i = 0; i < search->list.count; i++) {
        const struct qq_process *process = &search->list.items[i];
        if (!qq_process_is_guardian(process) || process->is_zombie) continue;
        // The first mark is the guardian's own; the others belong to terms that the guardian itself works under.
        const char *mark = marks_of(search, process);
        if (mark && !add_mark(&search->guarded, i, mark)) return 0;
    }
    for (int i = 0; i < search->loose.count; i++)
        if (!has_mark(&search->guarded, search->loose.items[i].text)) search->list.items[search->loose.items[i].index].is_chosen = 1;
    return 1;
}

/// Writes the chosen processes to `found` and returns their number. Spared ancestors of this process are among them if they belong to an earlier
/// term: they run for as long as this process does.
static int tell(const struct qq_processes *list, struct qq_leftover *found, int room) {
    int count = 0;
    for (int i = 0; i < list->count; i++) {
        const struct qq_process *process = &list->items[i];
        if (!process->is_chosen || process->is_zombie) continue;
        if (count < room) found[count] = (struct qq_leftover){.pid = process->pid, .started = process->started, .is_denied = process->is_denied};
        count++;
    }
    return count;
}

int qq_leftovers_end(struct qq_leftovers *leftovers, struct qq_leftover *found, int room) {
    struct search search = {.leftovers = leftovers, .text = malloc(LARGEST_ENVIRONMENT)};
    search.proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = -1;
    leftovers->is_unsure = 0;
    if (search.proc >= 0 && search.text && qq_processes_read(&search.list) == 0) {
        qq_processes_spare_lineage(&search.list);
        if (choose_exact(&search) && choose_loose(&search)) {
            qq_processes_choose_guarded(&search.list, search.proc);
            end_cgroups(leftovers);
            qq_processes_kill(&search.list);
            count = tell(&search.list, found, room);
        }
    }
    int error = errno;
    if (search.proc >= 0) close(search.proc);
    free(search.text);
    free(search.loose.items);
    free(search.guarded.items);
    qq_processes_free(&search.list);
    errno = error;
    return count;
}

int qq_leftover_lives(const struct qq_leftover *leftover) {
    struct qq_process now;
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0) return 1;
    int lives = qq_process_read(proc, leftover->pid, &now) && !now.is_zombie && now.started == leftover->started;
    close(proc);
    return lives;
}
