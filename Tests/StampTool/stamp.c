// stamp LOG [OPTION…]: work that leaves a trace. Each of its processes appends lines to LOG, each line with one write(2):
//
//     <CLOCK_BOOTTIME in ns> start|beat|end <pid> <QQ_TOKEN, or -> <role>
//
// With --slot, <QQ_SLOT>:<QQ_TOKEN> stands for the token.
//
// Whether two terms overlapped is therefore read from the processes at work, and never inferred.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int log_file;
static const char *token;
static long every_us = 2000;
static volatile sig_atomic_t told_to_end;

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void stamp(const char *what, const char *role) {
    char line[256];
    int length = snprintf(line, sizeof line, "%llu %s %d %s %s\n", (unsigned long long)now_ns(), what, (int)getpid(), token, role);
    (void)!write(log_file, line, (size_t)length);
}

static void on_term(int number) {
    (void)number;
    told_to_end = 1;
}

/// Writes beats for this many milliseconds; 0: forever.
static void beat(const char *role, long for_ms) {
    uint64_t end = now_ns() + (uint64_t)for_ms * 1000000u;
    stamp("start", role);
    while (!told_to_end && (for_ms == 0 || now_ns() < end)) {
        struct timespec pause = {.tv_nsec = every_us * 1000};
        nanosleep(&pause, NULL);
        stamp("beat", role);
    }
}

/// Closes all descriptors but the log, as Python's subprocess and Java's ProcessBuilder do. A program that is executed has to open the log again.
static void close_descriptors(void) {
    for (int fd = 3; fd < 1024; fd++)
        if (fd != log_file) close(fd);
}

/// Executes this program again, with an environment that has only the test's own mark.
static void start_bare(const char *log) {
    char mark[512];
    const char *value = getenv("QQ_TEST_MARK");
    snprintf(mark, sizeof mark, "QQ_TEST_MARK=%s", value ? value : "");
    char *const arguments[] = {"stamp", (char *)log, "--as", "bare", (char *)token, NULL};
    char *const environment[] = {mark, NULL};
    execve("/proc/self/exe", arguments, environment);
    _exit(126);
}

static void helper(const char *role, int leaves_session, int forks_twice, int closes, const char *bare) {
    pid_t pid = fork();
    if (pid != 0) {
        if (forks_twice) waitpid(pid, NULL, 0);
        return;
    }
    if (leaves_session) setsid();
    if (forks_twice && fork() != 0) _exit(0);
    if (closes) close_descriptors();
    if (bare) start_bare(bare);
    beat(role, 0);
    _exit(0);
}

/// Becomes the owner of this program for good, if it is set-uid: the user who started it then cannot signal it any more.
static void become_owner(void) {
    uid_t owner = geteuid();
    if (setresuid(owner, owner, owner) != 0) _exit(125);
}

/// Puts the slot before the token: each slot has tokens of its own.
static void name_slot(void) {
    static char both[64];
    const char *slot = getenv("QQ_SLOT");
    snprintf(both, sizeof both, "%s:%s", slot && *slot ? slot : "-", token);
    token = both;
}

static void usage(void) {
    fputs("stamp LOG [--for MS] [--every MS] [--child] [--daemon] [--closing] [--bare] [--owner] [--slot]\n"
          "    [--forking] [--ignore-term] [--catch-term] [--exit N] [--die N]\n", stderr);
    exit(64);
}

int main(int argc, char **argv) {
    long for_ms = 0;
    int children = 0, daemons = 0, closing = 0, bare = 0, forking = 0, code = 0, death = 0;
    if (argc < 2) usage();
    log_file = open(argv[1], O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (log_file < 0) return 74;
    token = getenv("QQ_TOKEN");
    if (!token || !*token) token = "-";
    for (int i = 2; i < argc; i++) {
        const char *option = argv[i];
        if (!strcmp(option, "--for") && i + 1 < argc) for_ms = atol(argv[++i]);
        else if (!strcmp(option, "--every") && i + 1 < argc) every_us = atol(argv[++i]) * 1000;
        else if (!strcmp(option, "--child")) children++;
        else if (!strcmp(option, "--daemon")) daemons++;
        else if (!strcmp(option, "--closing")) closing++;
        else if (!strcmp(option, "--bare")) bare++;
        else if (!strcmp(option, "--owner")) become_owner();
        else if (!strcmp(option, "--slot")) name_slot();
        else if (!strcmp(option, "--as") && i + 2 < argc) {
            token = argv[i + 2];
            beat(argv[i + 1], 0);
            return 0;
        }
        else if (!strcmp(option, "--forking")) forking = 1;
        else if (!strcmp(option, "--ignore-term")) signal(SIGTERM, SIG_IGN);
        else if (!strcmp(option, "--catch-term")) signal(SIGTERM, on_term);
        else if (!strcmp(option, "--exit") && i + 1 < argc) code = atoi(argv[++i]);
        else if (!strcmp(option, "--die") && i + 1 < argc) death = atoi(argv[++i]);
        else usage();
    }
    for (int i = 0; i < children; i++) helper("child", 0, 0, 0, NULL);
    for (int i = 0; i < daemons; i++) helper("daemon", 1, 1, 0, NULL);
    for (int i = 0; i < closing; i++) helper("closing", 1, 1, 1, NULL);
    for (int i = 0; i < bare; i++) helper("bare", 1, 1, 1, argv[1]);
    if (forking) {
        // Never the same process for long: code that hunts it must not miss it between two forks.
        pid_t pid = fork();
        if (pid == 0) {
            setsid();
            for (;;) {
                stamp("beat", "forking");
                pid_t next = fork();
                if (next != 0) _exit(0);
                struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
                nanosleep(&pause, NULL);
            }
        }
    }
    beat("main", for_ms);
    stamp("end", "main");
    if (death) {
        signal(death, SIG_DFL);
        raise(death);
    }
    return code;
}
