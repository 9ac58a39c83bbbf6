// `qq` with one more system, which is declared in this folder alone: elections in the memory of the process. Its tests show that a system costs one value.
// Only a debug build lets another module see the inside of QQCLI.
#if DEBUG
    @testable import QQCLI

    runAndExit(systems: Systems.builtIn + [.memory])
#endif
