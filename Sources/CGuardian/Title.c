// Name, command line and environment that ps(1), pkill(1) and /proc show for a process that was forked without exec. They are written over those that
// its parent was started with.
#define _GNU_SOURCE
#include "Internal.h"

#include <string.h>
#include <sys/prctl.h>

void qq_take_title(const char *name, const char *title) {
    int count;
    char *const *arguments = qq_arguments(&count);
    prctl(PR_SET_NAME, name, 0, 0, 0);
    if (count < 1) return;
    // The kernel shows the memory between the first argument and the end of the last one, and likewise for the environment (proc(5)).
    char *start = arguments[0], *end = arguments[count - 1] + strlen(arguments[count - 1]);
    size_t room = (size_t)(end - start);
    memset(start, 0, room);
    strncpy(start, title, room);
    qq_show_environment("", 0);
}

int qq_guardian_shows(const char *mark) {
    size_t room;
    // The pid of the guardian's qq is shown after the mark.
    return qq_environment_memory(&room) && strlen(mark) < QQ_LONGEST_MARK && strlen(mark) + 32 <= room;
}

void qq_show_environment(const char *entries, size_t length) {
    size_t room;
    char *start = qq_environment_memory(&room);
    if (!start) return;
    memset(start, 0, room);
    if (length <= room) memcpy(start, entries, length);
}
