// The progress line: a temporary line on the terminal that shows what qq is waiting for. A signal that ends or stops qq must not leave it there.
#include "CKernel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

static volatile sig_atomic_t is_shown;

// SA_RESETHAND has restored the signal's default action; it takes effect when this handler returns.
static void clear_first(int number) {
    int error = errno;
    if (is_shown) {
        static const char clear[] = "\r\033[K";
        struct pollfd terminal = {.fd = 2, .events = POLLOUT};
        is_shown = 0;
        // On a stopped terminal the line stays: the signal must not have to wait for it.
        if (poll(&terminal, 1, 0) == 1) (void)!write(2, clear, sizeof clear - 1);
    }
    errno = error;
    raise(number);
}

void qq_passing_line(int shown) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
    if (shown && !is_shown) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            struct sigaction present, ours = {.sa_handler = clear_first, .sa_flags = SA_RESETHAND | SA_RESTART};
            if (sigaction(numbers[i], NULL, &present) == 0 && present.sa_handler == SIG_DFL) sigaction(numbers[i], &ours, NULL);
        }
    }
    is_shown = shown;
}

int qq_terminal_is_ours(int fd, int has_front) {
    pid_t owner = tcgetpgrp(fd);
    return owner > 0 && (owner == getpgrp() || (has_front && owner == getpgid(getppid())));
}
