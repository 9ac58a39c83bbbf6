#include "CVersion.h"

// Replaced by the definition in the object file that Scripts/commit makes.
extern const char *const qq_built_from;
__attribute__((weak)) const char *const qq_built_from = 0;

const char *qq_commit(void) { return qq_built_from; }
