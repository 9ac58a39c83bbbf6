// Signal dispositions and mask as they were when qq started: the command inherits these, not those that qq sets for itself.
#define _GNU_SOURCE
#include "Internal.h"

#include <signal.h>

static sigset_t first_mask;
static sigset_t ignored;

void qq_signals_remember(void) {
    sigprocmask(SIG_SETMASK, NULL, &first_mask);
    sigemptyset(&ignored);
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action;
        if (sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN) sigaddset(&ignored, number);
    }
}

void qq_signals_restore(void) {
    for (int number = 1; number < NSIG; number++) {
        struct sigaction action = {.sa_handler = sigismember(&ignored, number) == 1 ? SIG_IGN : SIG_DFL};
        sigaction(number, &action, NULL);
    }
    sigprocmask(SIG_SETMASK, &first_mask, NULL);
}
