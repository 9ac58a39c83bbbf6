#ifndef QQ_LINE_EDITOR_H
#define QQ_LINE_EDITOR_H

#include <stddef.h>

// GNU readline wrapped in functions: its interface is global variables, which Swift 6 code cannot access. One editor, on one thread.

// Called with a line, which the callee frees with qq_editor_free, or with NULL at the end of input.
typedef void (*qq_editor_line)(char *line);
// Called for completion with the text before the cursor, and the index at which the word begins in it. The callee offers candidates with
// qq_editor_offer.
typedef void (*qq_editor_complete)(const char *before, int start);

// Called with the bytes to show on the terminal. Must not wait for the terminal, which can be stopped.
typedef void (*qq_editor_output)(const char *bytes, size_t count);

void qq_editor_begin(const char *name, qq_editor_line line, qq_editor_complete complete, qq_editor_output output);

// Shows the prompt and takes the terminal. Invisible parts of the prompt are enclosed in \001 and \002.
void qq_editor_install(const char *prompt);
// Gives the terminal back in its previous state.
void qq_editor_remove(void);
// Reads the user's input; may call the functions given to qq_editor_begin.
void qq_editor_read(void);
// Changes the prompt of the line that is being edited.
void qq_editor_set_prompt(const char *prompt);
// Removes the line that is being edited from the screen, and shows it again.
void qq_editor_hide(void);
void qq_editor_show(void);
// Drops the typed text and starts again on the next line.
void qq_editor_abandon(void);
// Gives the terminal back in the middle of a line, with the cursor on the next line.
void qq_editor_leave(void);
// Adapts to a changed terminal size.
void qq_editor_resized(void);

// Offers a candidate for the word at the cursor; with `ends`, a space follows it if it is the only one.
void qq_editor_offer(const char *candidate, int ends);
// Makes readline offer files itself.
void qq_editor_offer_files(void);

void qq_editor_free(char *line);

void qq_history_add(const char *line);
void qq_history_limit(int lines);
int qq_history_length(void);
// Line `index` of the history, counted from 0, oldest first; NULL after the last one.
const char *qq_history_line(int index);

#endif
