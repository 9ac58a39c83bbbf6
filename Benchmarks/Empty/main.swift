// The least that a Swift program can be; what `qq version` is measured against.
