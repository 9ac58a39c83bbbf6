import Synchronization

/// What is written to the terminal, so that it does not tear a line that is being edited there.
enum Screen {
    typealias Around = @Sendable (() -> Void) -> Void

    private static let around = Mutex<Around?>(nil)

    /// Has everything written through `around` from now on; nil for straight.
    static func write(through around: Around?) { self.around.withLock { $0 = around } }

    /// Writes.
    static func writing(_ body: () -> Void) {
        Progress.takeOff()
        guard let around = around.withLock({ $0 }) else { return body() }
        around(body)
    }
}
