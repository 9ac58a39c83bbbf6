#ifndef QQ_LINE_EDITOR_H
#define QQ_LINE_EDITOR_H

#include <stddef.h>

// GNU readline behind functions: its interface is global variables, which Swift 6 does not let us touch. One editor, one thread.

// Called with a line, which the callee frees with qq_editor_free, or with NULL at the end of input.
typedef void (*qq_editor_line)(char *line);
// Called for completion: what has been typed up to the cursor, and where the word begins in it. The callee offers candidates by qq_editor_offer.
typedef void (*qq_editor_complete)(const char *before, int start);

// Called with what is to be shown on the terminal. Must not wait for it: a terminal can be stopped.
typedef void (*qq_editor_output)(const char *bytes, size_t count);

void qq_editor_begin(const char *name, qq_editor_line line, qq_editor_complete complete, qq_editor_output output);

// Shows the prompt and takes the terminal. What of it is invisible stands between \001 and \002.
void qq_editor_install(const char *prompt);
// Gives the terminal back as it was.
void qq_editor_remove(void);
// Reads what was typed; may call the functions given to qq_editor_begin.
void qq_editor_read(void);
// Another prompt for the line that is being edited.
void qq_editor_set_prompt(const char *prompt);
// Takes the line that is being edited off the screen, and puts it back.
void qq_editor_hide(void);
void qq_editor_show(void);
// Drops what has been typed, and begins anew on the next line.
void qq_editor_abandon(void);
// Gives the terminal back in the middle of a line, with the cursor on the next one.
void qq_editor_leave(void);
// The terminal has another size.
void qq_editor_resized(void);

// A candidate for the word at the cursor; with `ends` a space follows it when it is the only one.
void qq_editor_offer(const char *candidate, int ends);
// Files are offered by readline itself.
void qq_editor_offer_files(void);

void qq_editor_free(char *line);

void qq_history_add(const char *line);
void qq_history_limit(int lines);
int qq_history_length(void);
// The line number `index` of the history, from 0, oldest first; NULL behind the last.
const char *qq_history_line(int index);

#endif
