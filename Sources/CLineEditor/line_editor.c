#define _GNU_SOURCE
#include "line_editor.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <wchar.h>

#include <readline/readline.h>
#include <readline/history.h>

static qq_editor_line on_line;
static qq_editor_complete on_complete;
static qq_editor_output on_output;

static char **candidates;
static size_t candidate_count;
static int offers_files;
static int last_ends;

static int is_installed;
// The line is removed from the screen for a moment.
static int is_hidden;
// The prompt on the screen, and the prompt that replaces it as soon as the line is on the screen and no search is under way.
static char *shown_prompt;
static char *next_prompt;

// States in which readline shows a prompt of its own.
static const unsigned long searching = RL_STATE_ISEARCH | RL_STATE_NSEARCH | RL_STATE_NUMERICARG;

static void keep(char **place, const char *text) {
    char *copy = strdup(text);
    if (!copy) return;
    free(*place);
    *place = copy;
}

static void forget_candidates(void) {
    for (size_t i = 0; i < candidate_count; i++) free(candidates[i]);
    free(candidates);
    candidates = NULL;
    candidate_count = 0;
    offers_files = 0;
    last_ends = 1;
}

void qq_editor_offer(const char *candidate, int ends) {
    char **more = realloc(candidates, (candidate_count + 1) * sizeof *candidates);
    if (!more) return;
    candidates = more;
    char *copy = strdup(candidate);
    if (!copy) return;
    candidates[candidate_count++] = copy;
    last_ends = ends;
}

void qq_editor_offer_files(void) { offers_files = 1; }

static char *next_candidate(const char *text, int state) {
    static size_t next;
    if (!state) next = 0;
    (void)text; // Every candidate continues the line, though perhaps with other quotes.
    return next < candidate_count ? strdup(candidates[next++]) : NULL;
}

static char **complete(const char *text, int start, int end) {
    // Offer files only if they are asked for.
    rl_attempted_completion_over = 1;
    forget_candidates();
    char *before = strndup(rl_line_buffer, (size_t)end);
    if (!before) return NULL;
    on_complete(before, start);
    free(before);
    if (offers_files) {
        rl_attempted_completion_over = 0;
        rl_filename_completion_desired = 1;
        return NULL;
    }
    char **found = rl_completion_matches(text, next_candidate);
    if (found && !found[1] && !last_ends) rl_completion_suppress_append = 1;
    return found;
}

static void took_line(char *line) {
    // At the end of input the cursor is still after the prompt.
    if (!line) rl_crlf();
    on_line(line);
}

// Whether a backslash or quotes escape the character at `index` of the line.
static int is_quoted(char *line, int index) {
    char quote = 0;
    for (int i = 0; i < index && line[i]; i++) {
        if (line[i] == '\\' && quote != '\'') {
            if (++i == index) return 1;
        } else if (quote) {
            if (line[i] == quote) quote = 0;
        } else if (line[i] == '\'' || line[i] == '"') {
            quote = line[i];
        }
    }
    return quote != 0;
}

// In `--flag=VALUE` the value is a word of its own.
static char *word_breaks(void) {
    static char usual[] = " \t\n\"'", of_flag[] = " \t\n\"'=";
    int start = rl_point;
    while (start > 0 && (!strchr(usual, rl_line_buffer[start - 1]) || is_quoted(rl_line_buffer, start - 1))) start--;
    return strncmp(rl_line_buffer + start, "--", 2) == 0 ? of_flag : usual;
}

// Enter ends a line even if it is typed ahead while readline still has the terminal: the command that reads the line later needs a newline.
static void prepare_terminal(int meta) {
    struct termios modes;
    rl_prep_terminal(meta);
    if (tcgetattr(0, &modes) != 0) return;
    modes.c_iflag |= ICRNL;
    tcsetattr(0, TCSANOW, &modes);
}

static ssize_t put(void *cookie, const char *bytes, size_t count) {
    (void)cookie;
    on_output(bytes, count);
    return (ssize_t)count;
}

void qq_editor_begin(const char *name, qq_editor_line line, qq_editor_complete complete_function, qq_editor_output output) {
    on_line = line;
    on_complete = complete_function;
    on_output = output;
    // Without its own stream, readline writes to stdout itself and blocks on a stopped terminal.
    FILE *screen = fopencookie(NULL, "w", (cookie_io_functions_t){.write = put});
    if (screen) rl_outstream = screen;
    rl_readline_name = name;
    // The main loop reads signals as data.
    rl_catch_signals = 0;
    rl_catch_sigwinch = 0;
    rl_change_environment = 0;
    // Reads the user's inputrc; the settings below override it.
    rl_initialize();
    // These would ask the user questions, and everything else would stop until they are answered.
    rl_completion_query_items = -1;
    rl_variable_bind("page-completions", "off");
    // Enter ends a search and the line, as a carriage return does.
    rl_variable_bind("isearch-terminators", "\\e");
    rl_prep_term_function = prepare_terminal;
    rl_attempted_completion_function = complete;
    // Names have dots, slashes and dashes; a word ends at a space.
    rl_completion_word_break_hook = word_breaks;
    rl_completer_quote_characters = "'\"";
    rl_char_is_quoted_p = is_quoted;
    rl_filename_quote_characters = " \t\n\\\"'$&#|;<>`*?()";
    using_history();
}

void qq_editor_install(const char *prompt) {
    is_installed = 1;
    is_hidden = 0;
    free(next_prompt);
    next_prompt = NULL;
    keep(&shown_prompt, prompt);
    // Another program may have had the terminal until now.
    rl_reset_screen_size();
    rl_callback_handler_install(prompt, took_line);
    fflush(rl_outstream);
}

void qq_editor_remove(void) {
    if (!is_installed) return;
    is_installed = 0;
    rl_callback_handler_remove();
    fflush(rl_outstream);
}

static void show(void) {
    if (next_prompt && !RL_ISSTATE(searching)) {
        free(shown_prompt);
        shown_prompt = next_prompt;
        next_prompt = NULL;
        rl_set_prompt(shown_prompt);
    }
    rl_on_new_line();
    rl_redisplay();
    fflush(rl_outstream);
}

static void change_prompt(void) {
    if (!next_prompt || is_hidden || RL_ISSTATE(searching)) return;
    rl_clear_visible_line();
    show();
}

void qq_editor_read(void) {
    if (!is_installed) return;
    // Readline rings the bell on stderr.
    FILE *errors = stderr;
    stderr = rl_outstream;
    rl_callback_read_char();
    stderr = errors;
    if (is_installed) change_prompt();
    fflush(rl_outstream);
}

void qq_editor_set_prompt(const char *prompt) {
    if (!is_installed) return;
    keep(&next_prompt, prompt);
    change_prompt();
}

void qq_editor_hide(void) {
    if (!is_installed || is_hidden) return;
    is_hidden = 1;
    rl_clear_visible_line();
    fflush(rl_outstream);
}

void qq_editor_show(void) {
    if (!is_installed || !is_hidden) return;
    is_hidden = 0;
    show();
}

// Ends a search, prints `mark` after the typed text, and moves the cursor to the next line.
static void end_line(const char *mark) {
    rl_callback_sigcleanup();
    rl_free_line_state();
    rl_point = rl_end;
    rl_redisplay();
    fputs(mark, rl_outstream);
    rl_crlf();
    fflush(rl_outstream);
}

void qq_editor_abandon(void) {
    if (!is_installed) return;
    end_line("^C");
    rl_callback_handler_remove();
    rl_replace_line("", 1);
    rl_callback_handler_install(shown_prompt ? shown_prompt : "", took_line);
    change_prompt();
    fflush(rl_outstream);
}

void qq_editor_leave(void) {
    if (!is_installed) return;
    end_line("");
    qq_editor_remove();
}

// Number of columns that a text up to `end` takes, without the parts between \001 and \002.
static int width_of(const char *text, const char *end) {
    mbstate_t state = {0};
    int width = 0, is_visible = 1;
    while (text < end && *text) {
        if (*text == RL_PROMPT_START_IGNORE || *text == RL_PROMPT_END_IGNORE) {
            is_visible = *text++ == RL_PROMPT_END_IGNORE;
            continue;
        }
        wchar_t wide;
        size_t length = mbrtowc(&wide, text, (size_t)(end - text), &state);
        if (length == 0 || length > (size_t)(end - text)) {
            memset(&state, 0, sizeof state);
            length = 1;
            wide = L'?';
        }
        int columns = wcwidth(wide);
        // A control character is shown as ^X.
        if (is_visible) width += columns < 0 ? 2 : columns;
        text += length;
    }
    return width;
}

// Whether this kind of terminal is known to rewrap lines when its width changes.
static int breaks_anew(void) {
    static const char *const signs[] = {"TMUX", "VTE_VERSION", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "ALACRITTY_WINDOW_ID"};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (getenv(signs[i])) return 1;
    return 0;
}

// Readline assumes that the line has not moved and would erase whatever has moved into its old place. If unsure, leave part of the old line on the
// screen.
void qq_editor_resized(void) {
    int rows, before, columns;
    if (!is_installed || is_hidden) return;
    if (RL_ISSTATE(searching) || !rl_terminal_name || strcmp(rl_terminal_name, "dumb") == 0) {
        rl_resize_terminal();
        fflush(rl_outstream);
        return;
    }
    rl_get_screen_size(&rows, &before);
    rl_reset_screen_size();
    rl_get_screen_size(&rows, &columns);
    if (before < 1 || columns < 1) return;
    int place = width_of(shown_prompt, shown_prompt + strlen(shown_prompt)) + width_of(rl_line_buffer, rl_line_buffer + rl_point);
    int above = place / columns;
    if (!breaks_anew() && place / before < above) above = place / before;
    fputc('\r', rl_outstream);
    if (above > 0) fprintf(rl_outstream, "\033[%dA", above);
    fputs("\033[J", rl_outstream);
    rl_set_prompt(shown_prompt);
    rl_on_new_line();
    rl_redisplay();
    fflush(rl_outstream);
}

void qq_editor_free(char *line) { free(line); }

void qq_history_add(const char *line) { add_history(line); }
void qq_history_limit(int lines) { stifle_history(lines); }
int qq_history_length(void) { return history_length; }

const char *qq_history_line(int index) {
    HIST_ENTRY *entry = history_get(history_base + index);
    return entry ? entry->line : NULL;
}
