// What ps(1), pkill(1) and /proc show of a process that was forked and not started: written over what its parent was started with.
#define _GNU_SOURCE
#include "Internal.h"

#include <string.h>
#include <sys/prctl.h>

/// The memory that the kernel shows as this process's environment.
static char *environment_start;
static size_t environment_room;

void qq_take_title(const char *name, const char *title) {
    int count;
    char *const *arguments = qq_arguments(&count);
    char *const *environment = qq_first_environment();
    prctl(PR_SET_NAME, name, 0, 0, 0);
    if (count < 1) return;
    // The kernel shows what lies between the first argument and the end of the last one, and likewise for the environment (proc(5)).
    char *start = arguments[0], *end = arguments[count - 1] + strlen(arguments[count - 1]);
    size_t room = (size_t)(end - start);
    memset(start, 0, room);
    strncpy(start, title, room);
    if (!environment || !environment[0]) return;
    char *first = environment[0], *last = first;
    for (char *const *entry = environment; *entry; entry++)
        if (*entry == last) last += strlen(*entry) + 1;
    environment_start = first;
    environment_room = (size_t)(last - first);
    qq_show_mark("");
}

void qq_show_mark(const char *mark) {
    if (environment_room == 0) return;
    memset(environment_start, 0, environment_room);
    if (strlen(mark) < environment_room) strcpy(environment_start, mark);
}
