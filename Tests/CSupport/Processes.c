#define _GNU_SOURCE
#include "CSupport.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ssize_t read_file(pid_t pid, const char *name, char *buffer, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t length = read(fd, buffer, size);
    close(fd);
    return length;
}

int support_process_read(pid_t pid, struct support_process *process) {
    char text[512];
    ssize_t length = read_file(pid, "stat", text, sizeof text - 1);
    if (length <= 0) return 0;
    text[length] = 0;
    char *open = strchr(text, '('), *close = strrchr(text, ')');
    if (!open || !close || sscanf(close + 1, " %c %d %d %d", &process->state, &process->parent, &process->group, &process->session) != 4) return 0;
    if (process->state == 'Z' || process->state == 'X') return 0;
    process->pid = pid;
    *close = 0;
    snprintf(process->name, sizeof process->name, "%s", open + 1);
    return 1;
}

static int is_marked(pid_t pid, const char *mark) {
    char environment[64 * 1024];
    ssize_t length = read_file(pid, "environ", environment, sizeof environment);
    return length > 0 && memmem(environment, (size_t)length, mark, strlen(mark) + 1) != NULL;
}

int support_processes(const char *mark, struct support_process *list, int room) {
    int count = 0;
    DIR *directory = opendir("/proc");
    if (!directory) return 0;
    struct dirent *entry;
    while (count < room && (entry = readdir(directory))) {
        pid_t pid = atoi(entry->d_name);
        if (pid > 0 && (!mark || is_marked(pid, mark)) && support_process_read(pid, &list[count])) count++;
    }
    closedir(directory);
    return count;
}
