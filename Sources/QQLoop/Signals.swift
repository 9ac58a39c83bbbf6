import CKernel
import Glibc
import QQCore

/// Signals read as data: blocked for the process, delivered one at a time by the loop.
public struct SignalSource: Sendable {
    let descriptor: CInt
    let loop: MainLoop

    /// Blocks `signals` and starts to collect them, except ignored ones: the program that started this process (nohup, or a shell for its
    /// background jobs) has decided that the process does not get them. Blocked signals stay blocked in this process until it ends.
    public init(_ signals: [CInt], on loop: MainLoop) throws(SystemCallError) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals where qq_signal_is_ignored(signal) == 0 { sigaddset(&set, signal) }
        sigprocmask(SIG_BLOCK, &set, nil)
        descriptor = try SystemCallError.check("signalfd", signalfd(-1, &set, CInt(SFD_CLOEXEC | SFD_NONBLOCK)))
        self.loop = loop
    }

    /// The next signal's number.
    /// - Throws: `CancellationError`.
    public func next() async throws -> CInt {
        while true {
            var information = signalfd_siginfo()
            if read(descriptor, &information, MemoryLayout<signalfd_siginfo>.size) > 0 { return CInt(information.ssi_signo) }
            try await loop.readable(descriptor)
        }
    }
}
