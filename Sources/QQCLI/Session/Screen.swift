import Synchronization

/// Writes to the terminal without tearing a line that is being edited there.
enum Screen {
    typealias Around = @Sendable (() -> Void) -> Void

    private static let around = Mutex<Around?>(nil)

    /// Wraps everything that is written to the terminal in `around` from now on; nil to write directly.
    static func write(through around: Around?) { self.around.withLock { $0 = around } }

    /// Calls `body`, which writes to the terminal.
    static func writing(_ body: () -> Void) {
        Progress.takeOff()
        guard let around = around.withLock({ $0 }) else { return body() }
        around(body)
    }
}
