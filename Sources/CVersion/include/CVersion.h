// The commit that this program was built from.
#pragma once

/// The commit as 40 hexadecimal digits, followed by `-dirty` if the sources had other changes; NULL if it is not known. `make build` links an object
/// file with it (Scripts/commit), so that a new commit compiles nothing again; `swift build` alone does not know the commit.
const char *_Nullable qq_commit(void);
