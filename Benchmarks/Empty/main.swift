// The smallest possible Swift program, which `qq version` is compared with.
